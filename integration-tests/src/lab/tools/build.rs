//! The cache of built tools, and building into it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Tool;
use crate::lab::folder::failed;
use crate::lab::process::tail;
use crate::lab::progress::Progress;
use crate::lab::{Error, tether};

/// Of `go build`, without the linker's: part of the key. `-mod=readonly` refuses what the pin does not name.
pub(super) const FLAGS: &str = "-trimpath -buildvcs=false -mod=readonly";
const HEARTBEAT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// `$XDG_CACHE_HOME/fluxgate/tools`, or under `~/.cache`: one folder for each tool, one in it for each key.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// As in `go1.26.8`; `None` where there is no Go.
    go: Option<String>,
}

impl Cache {
    pub(super) fn find() -> Result<Self, Error> {
        let named = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute());
        let home = || std::env::home_dir().map_or_else(std::env::temp_dir, |home| home.join(".cache"));
        let folder = named.unwrap_or_else(home).join("fluxgate/tools");
        fs::create_dir_all(&folder).map_err(|source| failed("creating", &folder, source))?;
        Ok(Self {
            folder,
            go: go_version(),
        })
    }

    pub(super) fn get_or_build(
        &self,
        tool: Tool,
        place: &str,
        progress: &dyn Progress,
    ) -> Result<PathBuf, Error> {
        if let Some(path) = self.get(tool) {
            return Ok(path);
        }
        let Some(go) = &self.go else {
            return Err(Error::GoMissing { tool });
        };
        // One lock for all tools: two Kubernetes builds at once would only slow each other down.
        let _lock = self.lock(progress)?;
        if let Some(path) = self.get(tool) {
            return Ok(path);
        }
        let minutes = about(tool.pin().expected);
        progress.line(&format!("Building a real {tool}, once, {minutes} ({place})"));
        let build = Build::prepare(&self.folder.join(tool.name()), tool)?;
        build.run(progress)?;
        build.publish(&self.folder.join(tool.name()).join(entry(tool, go)))
    }

    pub(super) fn get(&self, tool: Tool) -> Option<PathBuf> {
        let folder = self.folder.join(tool.name());
        let name = match &self.go {
            Some(go) => entry(tool, go),
            // Better one that another Go has built than none.
            None => any_entry(&folder, &tool.pin().key())?,
        };
        Some(folder.join(name).join(tool.name())).filter(|path| path.is_file())
    }

    fn lock(&self, progress: &dyn Progress) -> Result<File, Error> {
        let path = self.folder.join("build.lock");
        let file = File::create(&path).map_err(|source| failed("creating", &path, source))?;
        let mut beat = Heartbeat::new(Duration::ZERO);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(failed("locking", &path, source)),
            }
            if let Some(elapsed) = beat.due() {
                progress.line(&format!(
                    "Waiting for another process to build the parts ({} s)",
                    elapsed.as_secs()
                ));
            }
            std::thread::sleep(POLL);
        }
    }
}

/// One `go build` in a folder of its own, which is removed with it.
struct Build {
    tool: Tool,
    folder: tempfile::TempDir,
}

impl Build {
    fn prepare(parent: &Path, tool: Tool) -> Result<Self, Error> {
        fs::create_dir_all(parent).map_err(|source| failed("creating", parent, source))?;
        remove_abandoned(parent);
        let folder = tempfile::Builder::new().prefix(BUILDING).tempdir_in(parent);
        let folder = folder.map_err(|source| failed("creating a folder in", parent, source))?;
        let pin = tool.pin();
        let temporary = folder.path().join(TEMPORARY);
        fs::create_dir(&temporary).map_err(|source| failed("creating", &temporary, source))?;
        for (name, text) in [("go.mod", pin.go_mod), ("go.sum", pin.go_sum)] {
            let path = folder.path().join(name);
            fs::write(&path, text).map_err(|source| failed("writing", &path, source))?;
        }
        Ok(Self { tool, folder })
    }

    fn run(&self, progress: &dyn Progress) -> Result<(), Error> {
        let tool = self.tool;
        let started = Instant::now();
        let log = self.folder.path().join("build.log");
        let status = self.go_build(&log, progress)?;
        if status.success() {
            progress.line(&format!("  built {tool} in {} s", started.elapsed().as_secs()));
            return Ok(());
        }
        let tail = tail(&log);
        // The folder goes away, its log does not.
        let kept = std::env::temp_dir().join(format!("fluxgate-build-{tool}-{}.log", std::process::id()));
        fs::copy(&log, &kept).map_err(|source| failed("copying the build's log to", &kept, source))?;
        Err(Error::Build {
            tool,
            status,
            log: kept,
            tail,
        })
    }

    fn go_build(&self, log: &Path, progress: &dyn Progress) -> Result<ExitStatus, Error> {
        let tool = self.tool;
        let process = |source| Error::Process {
            operation: "building",
            part: tool.to_string(),
            source,
        };
        let output = File::create(log).map_err(|source| failed("creating", log, source))?;
        let errors = output
            .try_clone()
            .map_err(|source| failed("opening", log, source))?;
        let pin = tool.pin();
        let mut command = tether::command(Path::new("go"))?;
        command
            .arg("build")
            .args(FLAGS.split(' '))
            .args(["-ldflags", pin.link, "-o", "bin/", pin.package]);
        // No C compiler needed, and no setting of the user's that would make another binary of the same key.
        command
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .env("GOFLAGS", "")
            .env("GOTMPDIR", self.folder.path().join(TEMPORARY));
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let mut child = tether::spawn(command).map_err(process)?;
        let mut beat = Heartbeat::new(HEARTBEAT);
        loop {
            if let Some(status) = child.try_wait().map_err(process)? {
                return Ok(status);
            }
            if let Some(elapsed) = beat.due() {
                let (seconds, expected) = (elapsed.as_secs(), about(pin.expected));
                progress.line(&format!(
                    "  still building {tool}: {seconds} s ({expected} on two cores)"
                ));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Makes the binary appear at `entry`, whole.
    fn publish(&self, entry: &Path) -> Result<PathBuf, Error> {
        let name = self.tool.name();
        let binaries = self.folder.path().join("bin");
        let built = self
            .tool
            .pin()
            .package
            .rsplit('/')
            .find(|part| !is_major(part))
            .unwrap_or_default();
        // A module root is named after its last folder: etcd's server becomes `server`.
        if built != name {
            let (from, to) = (binaries.join(built), binaries.join(name));
            fs::rename(&from, &to).map_err(|source| failed("renaming", &from, source))?;
        }
        // In the way is, at most, an entry without its binary: someone cleared half of the cache.
        let _result = fs::remove_dir_all(entry);
        fs::rename(&binaries, entry).map_err(|source| failed("renaming", &binaries, source))?;
        Ok(entry.join(name))
    }
}

const BUILDING: &str = ".building-";
/// Where go works: swept with the rest when a build is killed.
const TEMPORARY: &str = "tmp";

/// Removes what builds that were killed have left. The lock is held, so none is at work.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(BUILDING) {
            let _result = fs::remove_dir_all(entry.path());
        }
    }
}

fn entry(tool: Tool, go: &str) -> String {
    format!("{}-{go}", tool.pin().key())
}

fn any_entry(folder: &Path, key: &str) -> Option<String> {
    let names = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(key)).max()
}

/// Whether a path element is a Go major version, as in `v2`.
fn is_major(element: &str) -> bool {
    element
        .strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

fn go_version() -> Option<String> {
    let output = Command::new("go")
        .args(["env", "GOVERSION"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && version.starts_with("go")).then_some(version)
}

fn about(expected: Duration) -> String {
    match expected.as_secs() {
        seconds @ 0..60 => format!("about {seconds} s"),
        seconds => format!("about {} min", (seconds + 30) / 60),
    }
}

/// Tells when it is time for another line.
struct Heartbeat {
    started: Instant,
    next: Duration,
}

impl Heartbeat {
    fn new(first: Duration) -> Self {
        Self {
            started: Instant::now(),
            next: first,
        }
    }

    fn due(&mut self) -> Option<Duration> {
        let elapsed = self.started.elapsed();
        (elapsed >= self.next).then(|| {
            self.next = elapsed + HEARTBEAT;
            elapsed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_time_is_in_words_of_a_person() {
        assert_eq!(about(Duration::from_secs(40)), "about 40 s");
        assert_eq!(about(Duration::from_secs(190)), "about 3 min");
    }

    #[test]
    fn major_versions_are_not_binary_names() {
        assert!(is_major("v3") && !is_major("v") && !is_major("server") && !is_major("v3a"));
    }

    #[test]
    fn without_go_an_entry_of_any_go_version_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let tool = Tool::Etcd;
        let key_folder = folder.path().join("etcd").join(entry(tool, "go1.25.1"));
        fs::create_dir_all(&key_folder).unwrap();
        fs::write(key_folder.join("etcd"), "").unwrap();
        let without = Cache {
            folder: folder.path().into(),
            go: None,
        };
        let with = Cache {
            folder: folder.path().into(),
            go: Some("go1.26.8".into()),
        };
        assert_eq!(without.get(tool), Some(key_folder.join("etcd")));
        assert_eq!(with.get(tool), None);
    }

    #[test]
    fn without_go_and_entry_the_error_says_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache {
            folder: folder.path().into(),
            go: None,
        };
        let error = cache
            .get_or_build(Tool::Etcd, "1 of 1 parts", &crate::lab::progress::Silent)
            .unwrap_err();
        assert!(error.to_string().contains("install Go 1.26"), "{error}");
    }
}
