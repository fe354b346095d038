//! The tether: a part dies with the process that started it, even on kill -9.
//!
//! Linux can signal a child when its parent dies (`PR_SET_PDEATHSIG`), but the child must ask for it between fork
//! and exec, which in Rust takes `unsafe`. So the running program starts *itself*, asked by an environment
//! variable to become the part: [`run_if_asked`] sets the signal, checks that the parent is still there, and execs
//! the part, which keeps the setting. That is why it must be the first line of `main` in every binary that starts
//! parts.
//!
//! Trap: the signal comes when the *thread* that forked ends, not the process. Runtime threads come and go, so all
//! parts are forked by one thread that never ends.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Holds the pid of the process that the part is tied to. The part itself never sees it.
const ASKED: &str = "FLUXGATE_LAB_TETHER";
/// Exit codes of `sh` for what cannot be run; seen by the one who waits for the part.
const CANNOT_RUN: i32 = 126;

/// Whether [`run_if_asked`] was called, without which a re-executed self would not become the part.
static ARMED: AtomicBool = AtomicBool::new(false);
static SPAWNER: Mutex<Option<mpsc::Sender<Request>>> = Mutex::new(None);

/// Becomes a part, if this process was started to be one; otherwise returns at once. Call it first in `main`,
/// before any thread or runtime.
pub fn run_if_asked() {
    let Some(parent) = std::env::var_os(ASKED) else {
        ARMED.store(true, Ordering::Release);
        return;
    };
    let failure = become_part(&parent);
    // Goes to the part's log, where a failed start is looked for.
    let _result = io::Write::write_all(&mut io::stderr(), format!("tether: {failure}\n").as_bytes());
    std::process::exit(CANNOT_RUN);
}

/// Returns only on failure.
fn become_part(parent: &OsString) -> io::Error {
    if let Err(refused) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return refused.into();
    }
    // The parent may have died before the signal was set.
    let expected = parent
        .to_str()
        .and_then(|pid| pid.parse().ok())
        .and_then(Pid::from_raw);
    if expected.is_none() || getppid() != expected {
        return io::Error::other("the lab has ended");
    }
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(program) => Command::new(program).args(arguments).env_remove(ASKED).exec(),
        None => io::ErrorKind::InvalidInput.into(),
    }
}

/// A command that becomes `program` under the tether. Run it with [`spawn`] alone.
///
/// # Errors
/// [`super::Error::NotTethered`] where main does not begin with [`run_if_asked`].
pub(crate) fn command(program: &Path) -> Result<Command, super::Error> {
    if !ARMED.load(Ordering::Acquire) {
        return Err(super::Error::NotTethered);
    }
    // Not `current_exe()`: this works even when cargo has replaced the file since we started.
    let mut command = Command::new("/proc/self/exe");
    command.arg(program);
    // A group of its own, so that Ctrl-C reaches us alone and we decide in which order things end.
    command.process_group(0);
    Ok(command)
}

struct Request {
    command: Command,
    reply: mpsc::SyncSender<io::Result<Child>>,
}

/// Starts `command` from the thread that never ends. Blocks for the few milliseconds that a fork takes.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    command.env(ASKED, std::process::id().to_string());
    let (reply, answer) = mpsc::sync_channel(1);
    spawner()?
        .send(Request { command, reply })
        .map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

fn spawner() -> io::Result<mpsc::Sender<Request>> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = spawner.as_ref() {
        return Ok(sender.clone());
    }
    let (sender, requests) = mpsc::channel::<Request>();
    // Never ends: SPAWNER keeps a sender for as long as the process lives.
    std::thread::Builder::new()
        .name("lab-spawner".into())
        .spawn(move || {
            for mut request in requests {
                // The asker waits for the answer, so the channel is open.
                let _result = request.reply.send(request.command.spawn());
            }
        })?;
    *spawner = Some(sender.clone());
    Ok(sender)
}
