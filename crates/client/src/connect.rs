//! Taking the steps that `route` decides, until there is a checked connection to the daemon of our
//! runtime directory.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use fuse_promise_core::{Failure, Status};
use fuse_promise_wire::RuntimeDir;
use fuse_promise_wire::lock::Probe;
use rustix::io::Errno;

use crate::bus_address::BusAddress;
use crate::daemon::{Daemon, foreign};
use crate::deadline::within;
use crate::fault::Fault;
use crate::fork::Listed;
use crate::route::{Bus, Directory, Facts, Start, Step};
use crate::session_bus::{Activation, SessionBus};
use crate::socket::connect_to_path;

/// A daemon that holds the lock and does not listen yet is in the middle of its start.
const PAUSE: Duration = Duration::from_millis(30);

/// Where the daemon is looked for.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) runtime_dir: RuntimeDir,
    pub(crate) directory: Directory,
    pub(crate) bus: Vec<BusAddress>,
    /// The time for a whole call; parts of it are given to single steps.
    pub(crate) limit: Duration,
}

/// `None` if no daemon runs and none may be started. Goes on as long as a daemon that is known to
/// live has not answered; the caller sets the deadline.
pub(crate) async fn connect(site: &Site, start: Start) -> Result<Option<Daemon>, Failure> {
    loop {
        let mut facts = Facts {
            directory: site.directory,
            running: is_running(&site.runtime_dir)?,
            start,
            bus: Bus::NotAsked,
        };
        let mut on_bus = None;
        loop {
            match facts.step() {
                Step::NotRunning => return Ok(None),
                Step::AskBus => (facts.bus, on_bus) = ask(site).await,
                Step::ActivateByBus => (facts.bus, on_bus) = activate(site).await,
                Step::UseBus => return Ok(on_bus),
                Step::GiveUp => return Err(facts.dead_end(site.runtime_dir.path(), "")),
                Step::UseSocket => break,
            }
        }
        match by_socket(site).await {
            Ok(daemon) => return Ok(Some(daemon)),
            Err(Fault::Refused(failure)) => return Err(failure),
            Err(Fault::Lost(how)) => {
                let running = is_running(&site.runtime_dir)?;
                // A daemon that has just come or gone makes other facts.
                if !running && !facts.running {
                    return Err(facts.dead_end(site.runtime_dir.path(), &how));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether a daemon of the runtime directory lives.
pub(crate) fn is_running(runtime_dir: &RuntimeDir) -> Result<bool, Failure> {
    let Some(probe) = Probe::open(runtime_dir)? else {
        return Ok(false);
    };
    // Declared after the probe, so dropped before it.
    let _listed = Listed::descriptor(&probe.as_fd());
    probe.is_held()
}

/// Who owns the name on the session bus, without starting anything. A bus or an owner that does
/// not answer takes half of the time: the socket may still lead to our daemon.
async fn ask(site: &Site) -> (Bus, Option<Daemon>) {
    let asked = within(site.limit / 2, async {
        owner_of_name(site, SessionBus::connect(&site.bus).await?).await
    });
    match asked.await {
        Some(Ok(answer)) => answer,
        Some(Err(fault)) => (Bus::Failed(fault.into_failure()), None),
        None => (
            Bus::Failed(silent("the session bus, or the owner of the name on it,")),
            None,
        ),
    }
}

/// Has the bus start the daemon. Some of the time is kept for asking what went wrong.
async fn activate(site: &Site) -> (Bus, Option<Daemon>) {
    let connected = within(site.limit / 2, SessionBus::connect(&site.bus)).await;
    let bus = match connected {
        Some(Ok(bus)) => bus,
        Some(Err(failure)) => return (Bus::Failed(failure), None),
        None => return (Bus::Failed(silent("the session bus")), None),
    };
    match within(site.limit * 8 / 10, bus.start()).await {
        Some(Activation::Started) => {}
        Some(Activation::Refused(failure)) => return (Bus::Failed(failure), None),
        Some(Activation::UnitFailed(failure)) => return (Bus::GaveUp(failure), None),
        None => {
            let trouble = within(site.limit / 10, bus.unit_trouble()).await.flatten();
            return (
                Bus::GaveUp(trouble.unwrap_or_else(|| silent("fuse-promised"))),
                None,
            );
        }
    }
    match owner_of_name(site, bus).await {
        Ok(answer) => answer,
        Err(fault) => (Bus::Failed(fault.into_failure()), None),
    }
}

async fn owner_of_name(site: &Site, bus: SessionBus) -> Result<(Bus, Option<Daemon>), Fault> {
    let Some(owner) = bus.owner().await? else {
        return Ok((Bus::NameFree, None));
    };
    let daemon = bus.into_daemon(owner);
    let theirs = daemon.identify().await?;
    if site.runtime_dir.is_same(&theirs) {
        return Ok((Bus::Ours, Some(daemon)));
    }
    Ok((Bus::Foreign(theirs), None))
}

/// Connects to the socket in the runtime directory; `Lost` if nobody answers there.
async fn by_socket(site: &Site) -> Result<Daemon, Fault> {
    let path = site.runtime_dir.socket_path();
    let connected = connect_to_path(&path)
        .await
        .map_err(|errno| no_listener(&path, errno))?;
    let daemon = Daemon::peer_to_peer(connected).await?;
    let theirs = daemon.identify().await?;
    if site.runtime_dir.is_same(&theirs) {
        return Ok(daemon);
    }
    Err(foreign(site.runtime_dir.path(), &theirs).into())
}

fn no_listener(path: &Path, errno: Errno) -> Fault {
    let path = path.display();
    match errno {
        Errno::NOENT => Fault::Lost(format!("there is no socket {path}")),
        Errno::CONNREFUSED => Fault::Lost(format!("nobody listens on {path}")),
        Errno::ACCESS | Errno::PERM => {
            Failure::new(Status::Permission, format!("connect to {path}: {errno}")).into()
        }
        _ => Failure::unavailable(format!("connect to {path}: {errno}")).into(),
    }
}

fn silent(who: &str) -> Failure {
    Failure::unavailable(format!("{who} did not answer in time"))
}

#[cfg(test)]
mod tests;
