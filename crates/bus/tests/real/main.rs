#![allow(missing_docs, reason = "temporary")]
#[allow(dead_code, unreachable_pub, clippy::all, reason = "temporary")]
mod bus_contract;
use bus_contract::*;
use std::process::{Child, Command, Stdio};

struct Local {
    child: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
    monitor: u16,
    extra: String,
}

impl Local {
    async fn start(extra: &str) -> Self {
        let port = || {
            std::net::TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port()
        };
        let mut this = Self {
            child: None,
            folder: tempfile::tempdir().unwrap(),
            port: port(),
            monitor: port(),
            extra: extra.to_owned(),
        };
        this.spawn().await;
        this
    }
    async fn spawn(&mut self) {
        let conf = self.folder.path().join("c.conf");
        std::fs::write(&conf, format!("listen: 127.0.0.1:{}\nhttp: 127.0.0.1:{}\njetstream {{ store_dir: \"{}\", sync_interval: always }}\n{}\n", self.port, self.monitor, self.folder.path().join("js").display(), self.extra)).unwrap();
        let bin = std::env::var("NATS_BIN").unwrap_or("/tmp/lab-warm/nats-server".into());
        self.child = Some(
            Command::new(bin)
                .arg("-c")
                .arg(conf)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        loop {
            if let Ok(answer) = reqwest::get(format!("http://127.0.0.1:{}/healthz", self.monitor)).await {
                if answer.status().is_success() {
                    break;
                }
            }
            assert!(
                self.child.as_mut().unwrap().try_wait().unwrap().is_none(),
                "the server ended: its port was taken"
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}
impl Drop for Local {
    fn drop(&mut self) {
        if let Some(c) = &mut self.child {
            let _ = c.kill();
            let _ = c.wait();
        }
    }
}

#[async_trait::async_trait]
impl Server for Local {
    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
    fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor)
    }
    async fn kill(&mut self) {
        if let Some(mut c) = self.child.take() {
            c.kill().unwrap();
            c.wait().unwrap();
        }
    }
    async fn restart(&mut self) {
        self.kill().await;
        self.spawn().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contract() {
    let only = std::env::var("ONLY").ok();
    let mut failed = vec![];
    an_event_log_keeps_its_word(std::sync::Arc::new(bus::memory::MemoryLog::new(
        jiff::Timestamp::UNIX_EPOCH,
    )))
    .await;
    for (name, case) in CONTRACT {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let begun = std::time::Instant::now();
        let case = *case;
        let ended = tokio::spawn(async move {
            let mut server = Local::start("").await;
            case(&mut server).await
        })
        .await;
        println!(
            "{} {name} {:?}",
            if ended.is_ok() { "ok    " } else { "FAILED" },
            begun.elapsed()
        );
        if ended.is_err() {
            failed.push(name)
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions() {
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let server = Local::start(PERMISSIONS_CONFIG).await;
    an_agent_needs_no_more_than_its_permissions(&server.url()).await;
}
