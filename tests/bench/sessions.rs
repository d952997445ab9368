//! Sessions that have done something once and then do nothing: so many providers, each with one
//! promise of one small file, of which a byte was read. A line says how many nanoseconds they took
//! together; they leave when standard input ends.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use fuse_promise_client::{Context, ContextOptions, Provider, ProviderOptions};

use super::shape::Shape;
use super::{Answers, Outcome, publish};

pub fn hold(count: usize) -> Outcome {
    let shape = Shape::named("one").ok_or("a shape is missing")?;
    let context = Context::open(ContextOptions::default())?;
    let answers = Answers::of(&shape, Duration::ZERO);
    let started = Instant::now();
    let mut providers: Vec<Provider> = Vec::new();
    for _ in 0..count {
        let provider = context.register(answers.clone(), ProviderOptions::default())?;
        let folder = publish(&context, &provider, &shape)?;
        providers.push(provider);
        let file = File::open(folder.join(&shape.files[0].path))?;
        file.read_exact_at(&mut [0], 0)?;
    }
    writeln!(io::stdout(), "{}", started.elapsed().as_nanos())?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    drop(providers);
    context.close();
    Ok(())
}
