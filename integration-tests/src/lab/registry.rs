//! A real OCI registry (distribution v3), in memory. As ghcr.io, it has no referrers API: clients must take the
//! fallback tag.

use super::folder::failed;
use super::process::{Launch, Part};
use super::tools::Tool;
use super::{Error, Lab, probe};

/// A registry on loopback, over plain HTTP and without users. Its contents end with it.
#[derive(Debug)]
pub struct Registry {
    part: Part,
    port: u16,
}

impl Registry {
    /// Starts an empty registry.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub async fn start(lab: &Lab) -> Result<Self, Error> {
        let folder = lab.new_folder("registry")?;
        let program = lab.tools().path(Tool::Registry)?;
        let http = probe::client();
        let plan = |[port]: [u16; 1]| {
            let config = folder.join("config.yml");
            let text = format!(
                "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n\
                 storage: {{inmemory: {{}}, delete: {{enabled: true}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n"
            );
            std::fs::write(&config, text).map_err(|source| failed("writing", &config, source))?;
            Ok(Launch {
                name: Tool::Registry.to_string(),
                program: program.to_owned(),
                arguments: vec!["serve".into(), config.into()],
                // Otherwise it looks for a collector and complains each minute.
                environment: vec![("OTEL_TRACES_EXPORTER", "none".into())],
                log: folder.join("registry.log"),
            })
        };
        let (part, [port]) =
            Part::start_on_free_ports(lab, plan, |[port]: [u16; 1]| probe::answers(&http, port, "/v2/"))
                .await?;
        Ok(Self { part, port })
    }

    /// `127.0.0.1:PORT`, as it stands in an image reference.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The registry's process.
    #[must_use]
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// Ends the registry; all that was pushed is gone.
    ///
    /// # Errors
    /// Where the process cannot be waited for.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.part.kill().await
    }
}
