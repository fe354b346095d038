//! The nats-server of a hub on one machine.
//!
//! It ends with the process that started it, also when that is killed: it is started through this very
//! binary (`fluxgate __tether`), which asks the kernel for a signal on the death of its parent and then
//! becomes the server.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::DevError;

const READY_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// A nats-server.
#[derive(Debug)]
pub(super) struct Server {
    url: String,
    monitor: Option<String>,
    child: Option<Child>,
}

impl Server {
    /// One that somebody else runs.
    pub(super) const fn running(url: String, monitor: Option<String>) -> Self {
        Self {
            url,
            monitor,
            child: None,
        }
    }

    /// Starts one with its streams in this folder, on free ports.
    ///
    /// # Errors
    /// If there is no program, or it does not answer in time.
    pub(super) async fn start(program: Option<PathBuf>, folder: &Path) -> Result<Self, DevError> {
        let program = program.or_else(find).ok_or(DevError::NoNats)?;
        let failed = |source| DevError::File {
            path: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let (port, monitor) = ports(&folder.join("ports")).map_err(failed)?;
        let log = folder.join("nats.log");
        let file = folder.join("nats.conf");
        let text = format!(
            "host: 127.0.0.1\nport: {port}\nhttp: \"127.0.0.1:{monitor}\"\nlog_file: {log:?}\n\
             jetstream {{ store_dir: {store:?}, sync_interval: always }}\n",
            store = folder.join("store"),
        );
        std::fs::write(&file, text).map_err(failed)?;
        let own = std::env::current_exe().map_err(failed)?;
        // Started from the thread that lives as long as the process: its death is what ends the server.
        let child = Command::new(own)
            .args([OsString::from("__tether"), std::process::id().to_string().into()])
            .arg(program)
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut server = Self {
            url: format!("nats://127.0.0.1:{port}"),
            monitor: Some(format!("http://127.0.0.1:{monitor}")),
            child: Some(child),
        };
        if server.answers(port).await {
            Ok(server)
        } else {
            Err(DevError::Nats { log })
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Its monitoring address, where it is known.
    pub(super) fn monitor(&self) -> Option<String> {
        self.monitor.clone()
    }

    async fn answers(&mut self, port: u16) -> bool {
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while tokio::time::Instant::now() < deadline {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return true;
            }
            let ended = self
                .child
                .as_mut()
                .is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
            if ended {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// Ends it, if it is ours, and waits until it has written everything.
    pub(super) async fn stop(mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself: then there is nothing to signal.
            let _signalled = rustix::process::kill_process(pid, Signal::TERM);
        }
        // A panic of the waiting thread would leave a zombie until this process ends, which is next.
        let _waited = tokio::task::spawn_blocking(move || child.wait()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already ended is as good.
            let _killed = child.kill();
            let _waited = child.wait();
        }
    }
}

/// The ports of the last time, so that agents find the server again; new ones at the first start, or where
/// somebody else has them.
fn ports(file: &Path) -> std::io::Result<(u16, u16)> {
    let before = std::fs::read_to_string(file).unwrap_or_default();
    let numbers: Vec<u16> = before
        .split_whitespace()
        .filter_map(|text| text.parse().ok())
        .collect();
    if let [port, monitor] = numbers.as_slice()
        && [port, monitor]
            .iter()
            .all(|port| TcpListener::bind(("127.0.0.1", **port)).is_ok())
    {
        return Ok((*port, *monitor));
    }
    let (port, monitor) = (free_port()?, free_port()?);
    std::fs::write(file, format!("{port} {monitor}\n"))?;
    Ok((port, monitor))
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The program in `$FLUXGATE_TOOLS` or on the PATH.
fn find() -> Option<PathBuf> {
    let named = |variable: &str| runtime::config::search_path(variable);
    named("FLUXGATE_TOOLS")
        .into_iter()
        .chain(named("PATH"))
        .map(|folder| folder.join("nats-server"))
        .find(|program| program.is_file())
}

/// Becomes another program that dies with this process's parent: `PARENT PROGRAM ARGUMENT...`. Comes back
/// only if that could not be done, with why.
#[must_use]
pub fn tether(arguments: &[OsString]) -> std::io::Error {
    let usage =
        || std::io::Error::other("__tether is how `fluxgate dev` starts its parts; it is not for people");
    let [parent, program, rest @ ..] = arguments else {
        return usage();
    };
    let Some(parent) = parent.to_str().and_then(|text| text.parse::<i32>().ok()) else {
        return usage();
    };
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // The parent may have died before the signal was asked for.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return std::io::Error::other("the process that asked for it is gone");
    }
    Command::new(program).args(rest).exec()
}
