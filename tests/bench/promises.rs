//! Many promises of a few files, by one provider: all at once, or one after the other.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use fuse_promise_client::{Context, ContextOptions, Provider, ProviderOptions};

use super::shape::Shape;
use super::{Answers, Outcome, publish};

/// Until the provider's and the daemon's memory has been used once.
const WARM_UP: usize = 1000;
/// Of which the time is told.
const TIMED: usize = 5000;

/// So many promises at once, until standard input ends; a line says in how many nanoseconds they
/// were made.
pub fn hold(count: usize) -> Outcome {
    with_provider(|context, provider, shape| {
        let started = Instant::now();
        for _ in 0..count {
            publish(context, provider, shape)?;
        }
        writeln!(io::stdout(), "{}", started.elapsed().as_nanos())?;
        io::copy(&mut io::stdin(), &mut io::sink())?;
        Ok(())
    })
}

/// So many promises, each destroyed before the next. A line says that those before have been made
/// which are not counted; for a line of standard input the others are made, and a line says how
/// many nanoseconds the last 5000 took.
pub fn churn(count: usize) -> Outcome {
    with_provider(|context, provider, shape| {
        let pass = |count: usize| -> Outcome {
            for _ in 0..count {
                let path = publish(context, provider, shape)?;
                context.destroy(path.as_os_str())?;
            }
            Ok(())
        };
        pass(WARM_UP)?;
        writeln!(io::stdout(), "warm")?;
        io::stdin().lock().read_line(&mut String::new())?;
        pass(count.checked_sub(TIMED).ok_or("too few to be timed")?)?;
        let started = Instant::now();
        pass(TIMED)?;
        writeln!(io::stdout(), "{}", started.elapsed().as_nanos())?;
        io::copy(&mut io::stdin(), &mut io::sink())?;
        Ok(())
    })
}

fn with_provider(work: impl FnOnce(&Context, &Provider, &Shape) -> Outcome) -> Outcome {
    let shape = Shape::named("twenty").ok_or("a shape is missing")?;
    let context = Context::open(ContextOptions::default())?;
    let answers = Answers::of(&shape, Duration::ZERO);
    let provider = context.register(answers, ProviderOptions::default())?;
    let done = work(&context, &provider, &shape);
    drop(provider);
    context.close();
    done
}
