//! A materialize that does not come to its end: the target then holds whole
//! right files or nothing, and the user's own.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use fuse_promise_testkit::fixture::check::assert_content;
use fuse_promise_testkit::process::Process;
use fuse_promise_testkit::{Answer, ProviderProcess, Published, Session, Shape, Tree, both_shapes};
use rustix::process::Signal;
use support::copying::{begin, copy, named, names, target};
use support::wait_until;

const UNAVAILABLE: i32 = 12;
const PERMISSION: i32 = 13;
const PROVIDER_GONE: i32 = 16;
const CANCELLED: i32 = 19;

/// A copy of which `dir/a` is written and `dir/held` waits for its provider.
struct HalfWay {
    provider: ProviderProcess,
    promise: Published,
    target: PathBuf,
    fpctl: Process,
}

impl HalfWay {
    fn of(session: &Session, flags: &[&str]) -> Self {
        let mut provider = session.provider();
        let tree = Tree::new().file("dir/a", 3000).file("dir/held", 3 << 20);
        let promise = provider.publish(&tree.file("dir/z", 10));
        provider.answer(Some("dir/held"), Answer::Hang);
        let target = target(session);
        fs::write(target.join("users"), "own").unwrap();
        let fpctl = begin(session, flags, &promise.join("dir"), &target);
        provider.await_hung(1);
        wait_until("the first file", || target.join("dir/a").exists());
        Self {
            provider,
            promise,
            target,
            fpctl,
        }
    }

    #[track_caller]
    fn assert_clean(&self) {
        assert_eq!(names(&self.target), named(["users"]));
        assert_eq!(fs::read(self.target.join("users")).unwrap(), b"own");
    }

    #[track_caller]
    fn wait_until_clean(&self) {
        wait_until("a clean target", || names(&self.target).len() == 1);
        self.assert_clean();
    }
}

both_shapes! {
    fn ctrl_c_takes_away_what_was_copied_and_says_so(session) {
        let mut copying = HalfWay::of(&session, &[]);
        copying.fpctl.signal(Signal::INT);
        assert_eq!(copying.fpctl.wait().code(), Some(CANCELLED));
        let said = copying.fpctl.log();
        assert!(said.contains("took away 2 files and directories"), "{said}");
        copying.assert_clean();
        // The provider's late answer concerns nobody, and the promise is as it was.
        copying.provider.release();
        copying.promise.check();
    }

    /// > A copy that is cancelled or loses its provider is taken away again; files it had
    /// > replaced stay replaced.
    fn files_that_were_replaced_stay_when_a_copy_is_cancelled(session) {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("dir/a", 3000).file("dir/held", 10));
        provider.answer(Some("dir/held"), Answer::Hang);
        let target = target(&session);
        fs::create_dir(target.join("dir")).unwrap();
        fs::write(target.join("dir/a"), "older").unwrap();
        let mut fpctl = begin(&session, &["--overwrite"], &promise.join("dir"), &target);
        provider.await_hung(1);
        wait_until("the new file", || fs::read(target.join("dir/a")).unwrap().len() == 3000);
        fpctl.signal(Signal::TERM);
        assert_eq!(fpctl.wait().code(), Some(CANCELLED));
        assert!(fpctl.log().contains("replaced, and stays: dir/a"), "{}", fpctl.log());
        assert_eq!(names(&target), named(["dir", "dir/a"]));
        assert_content(&target.join("dir/a"), &promise.tree.nodes()[1]);
    }

    /// > A copy ends with the program that began it, unless it was detached.
    fn a_copy_ends_with_the_program_that_began_it(session) {
        let mut copying = HalfWay::of(&session, &[]);
        copying.fpctl.kill();
        copying.wait_until_clean();
    }

    fn a_provider_that_dies_leaves_nothing_half_written(session) {
        let mut copying = HalfWay::of(&session, &[]);
        copying.provider.kill();
        assert_eq!(copying.fpctl.wait().code(), Some(PROVIDER_GONE), "{}", copying.fpctl.log());
        copying.assert_clean();
        let again = copy(&session, &[], &copying.promise.join("dir"), &copying.target);
        assert_eq!(again.code, PROVIDER_GONE, "{}", again.err);
        copying.assert_clean();
    }

    fn a_directory_swapped_for_a_symlink_leads_nowhere(session) {
        let mut copying = HalfWay::of(&session, &[]);
        let elsewhere = session.dirs().root().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let dir = copying.target.join("dir");
        fs::rename(&dir, copying.target.join("moved")).unwrap();
        symlink(&elsewhere, &dir).unwrap();
        copying.provider.release();
        assert_ne!(copying.fpctl.wait().code(), Some(0), "{}", copying.fpctl.log());
        assert_eq!(names(&elsewhere), named([]));
        assert!(dir.is_symlink());
    }

    fn a_directory_that_is_closed_meanwhile_fails_what_belongs_there(session) {
        let mut copying = HalfWay::of(&session, &[]);
        let dir = copying.target.join("dir");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).unwrap();
        copying.provider.release();
        assert_eq!(copying.fpctl.wait().code(), Some(PERMISSION), "{}", copying.fpctl.log());
        for failed in ["failed: dir/held", "failed: dir/z"] {
            assert!(copying.fpctl.log().contains(failed), "{}", copying.fpctl.log());
        }
        assert_eq!(names(&copying.target), named(["dir", "dir/a", "users"]));
        assert_content(&dir.join("a"), &copying.promise.tree.nodes()[1]);
    }

    fn a_daemon_that_is_stopped_takes_its_copies_along(session) {
        let mut copying = HalfWay::of(&session, &[]);
        session.stop_daemon();
        assert_eq!(copying.fpctl.wait().code(), Some(UNAVAILABLE), "{}", copying.fpctl.log());
        copying.assert_clean();
    }
}

#[test]
fn any_program_of_the_session_can_cancel_a_copy() {
    let session = Session::start(Shape::Systemd);
    let mut copying = HalfWay::of(&session, &[]);
    let name = "io.github.fuse_promise.Private1";
    let (object, interface) = ("/io/github/fuse_promise/job/1", format!("{name}.Job"));
    let call = ["--user", "call", name, object, &interface, "Cancel"];
    session.run("busctl", &call).ok();
    assert_eq!(copying.fpctl.wait().code(), Some(CANCELLED));
    copying.assert_clean();
}

/// The copy's program notices, and what is under a final name is whole.
#[test]
fn a_daemon_that_is_killed_leaves_whole_files_alone() {
    let mut session = Session::start(Shape::Private);
    let mut copying = HalfWay::of(&session, &["--overwrite"]);
    session.signal_daemon(Signal::KILL);
    session.wait_daemon_end();
    assert_eq!(
        copying.fpctl.wait().code(),
        Some(UNAVAILABLE),
        "{}",
        copying.fpctl.log()
    );
    let is_partial = |name: &String| name.contains(".fuse-promise-partial-");
    let whole: Vec<String> = names(&copying.target)
        .into_iter()
        .filter(|name| !is_partial(name))
        .collect();
    assert_eq!(whole, ["dir", "dir/a", "users"]);
    assert_content(
        &copying.target.join("dir/a"),
        &copying.promise.tree.nodes()[1],
    );
    // What had a name of ours goes with the next start.
    session.start_daemon();
    assert_eq!(names(&copying.target), named(["dir", "dir/a", "users"]));
}
