//! A part: one child process with its ports, its log, and an end that is certain.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::folder::{Folder, failed};
use super::{Error, Lab, tether};

/// A part answers within this time even while a compiler has the machine's cores; a lab that takes longer is broken.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);
/// How often a part is started anew because its port was taken. Each try draws new ports.
const PORT_TRIES: usize = 5;
const TAIL_LINES: usize = 15;

/// What to run, and where its output goes.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The part's name in messages, as in `nats-server` or `kube-apiserver of edge-1`.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// The whole environment of the part: it inherits only PATH and HOME, since etcd and the registry would read
    /// settings from variables that a user may have for other purposes.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// Appended to, so that a restarted part keeps what it said before.
    pub(crate) log: PathBuf,
}

/// A running child process. It is killed and waited for when dropped, and by the tether when we are killed.
#[derive(Debug)]
pub struct Part {
    name: String,
    child: Child,
    log: PathBuf,
    folder: Arc<Folder>,
}

impl Part {
    /// Starts a part and waits until `probe` says that it is ready.
    pub(crate) async fn start(
        lab: &Lab,
        launch: &Launch,
        probe: impl AsyncFn() -> bool,
    ) -> Result<Self, Error> {
        let mut part = Self::spawn(launch, lab.shared_folder())?;
        match part.wait_ready(probe).await {
            Ok(()) => Ok(part),
            Err(error) => {
                if !error.address_in_use() {
                    part.folder.keep();
                }
                Err(error)
            }
        }
    }

    /// As [`Part::start`], on `N` free ports; `plan` writes what is to be run on them. A port can be taken by
    /// someone else before the part listens on it; then it is tried again on others.
    pub(crate) async fn start_on_free_ports<const N: usize>(
        lab: &Lab,
        plan: impl Fn([u16; N]) -> Result<Launch, Error>,
        probe: impl AsyncFn([u16; N]) -> bool,
    ) -> Result<(Self, [u16; N]), Error> {
        let mut tries = 1;
        loop {
            let ports = free_ports::<N>()?;
            match Self::start(lab, &plan(ports)?, async || probe(ports).await).await {
                Ok(part) => return Ok((part, ports)),
                Err(error) if error.address_in_use() && tries < PORT_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The part's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The part's name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the part wrote to stdout and stderr.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether the process is still there.
    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the part (SIGKILL) and waits until it is gone, for at most a second or so: the kernel ends it without
    /// asking the part.
    ///
    /// # Errors
    /// Where the process cannot be waited for.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.child
            .kill()
            .map_err(|source| self.cannot("killing", source))?;
        while self
            .child
            .try_wait()
            .map_err(|source| self.cannot("waiting for", source))?
            .is_none()
        {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn spawn(launch: &Launch, folder: Arc<Folder>) -> Result<Self, Error> {
        let log = File::options().create(true).append(true).open(&launch.log);
        let log = log.map_err(|source| failed("opening", &launch.log, source))?;
        let errors = log
            .try_clone()
            .map_err(|source| failed("opening", &launch.log, source))?;
        let mut command: Command = tether::command(&launch.program)?;
        command
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment.iter().cloned());
        for inherited in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let name = launch.name.clone();
        match tether::spawn(command) {
            Ok(child) => Ok(Self {
                name,
                child,
                log: launch.log.clone(),
                folder,
            }),
            Err(source) => Err(Error::Process {
                operation: "starting",
                part: name,
                source,
            }),
        }
    }

    async fn wait_ready(&mut self, probe: impl AsyncFn() -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self
                .child
                .try_wait()
                .map_err(|source| self.cannot("waiting for", source))?
            {
                return Err(self.ended(status));
            }
            if probe().await {
                // Someone else may be answering on a port that our part failed to get.
                return match self.child.try_wait() {
                    Ok(Some(status)) => Err(self.ended(status)),
                    Ok(None) | Err(_) => Ok(()),
                };
            }
            if Instant::now() > deadline {
                let (part, log, tail) = (self.name.clone(), self.log.clone(), tail(&self.log));
                return Err(Error::NotReady {
                    part,
                    after: READY_WITHIN,
                    log,
                    tail,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn ended(&self, status: ExitStatus) -> Error {
        Error::PartEnded {
            part: self.name.clone(),
            status,
            log: self.log.clone(),
            tail: tail(&self.log),
        }
    }

    fn cannot(&self, operation: &'static str, source: std::io::Error) -> Error {
        Error::Process {
            operation,
            part: self.name.clone(),
            source,
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Already gone is fine; there is nobody to tell anything else.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// The last lines of a log, for an error's text.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(TAIL_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

/// Ports that were free just now, none of which was given out before in this process: two parts that are started
/// together must not be given the same one.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    let mut ports = [0; N];
    for port in &mut ports {
        while *port == 0 || !given.insert(*port) {
            let address =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
            let address = address.map_err(|source| {
                let part = "a part".to_owned();
                Error::Process {
                    operation: "finding a free port for",
                    part,
                    source,
                }
            })?;
            *port = address.port();
        }
    }
    Ok(ports)
}
