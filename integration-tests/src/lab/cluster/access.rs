//! Keys, tokens and kubeconfig of a cluster, and how one asks whether it is ready.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use sha2::{Digest, Sha256};

use crate::lab::Error;
use crate::lab::folder::failed;
use crate::lab::probe::ANSWER_WITHIN;

pub(super) const SIGNING_KEY: &str = "service-accounts.key";
pub(super) const SIGNING_PUBLIC: &str = "service-accounts.pub";
pub(super) const TOKENS: &str = "tokens.csv";
pub(super) const KUBECONFIG: &str = "kubeconfig.yaml";
/// Made by the API server itself: its certificate, followed by the CA that signed it.
const API_CERTIFICATE: &str = "certs/apiserver.crt";

/// The admin's token and where the rest lies.
#[derive(Debug)]
pub(super) struct Access {
    folder: PathBuf,
    token: String,
}

impl Access {
    /// Makes the key that signs service account tokens, and the admin's token.
    pub(super) fn create(cluster: &str, folder: &Path) -> Result<Self, Error> {
        let key = rcgen::KeyPair::generate().map_err(|source| Error::Document {
            operation: "making a key",
            cluster: cluster.to_owned(),
            source: source.into(),
        })?;
        let secret = key.serialize_pem();
        // As secret as the key, and needs no other source of randomness.
        let token = hex::encode(Sha256::digest(format!("token of the admin\n{secret}")));
        write_secret(&folder.join(SIGNING_KEY), &secret)?;
        // The API server reads no public key out of this form of private key.
        write_secret(&folder.join(SIGNING_PUBLIC), &key.public_key_pem())?;
        write_secret(
            &folder.join(TOKENS),
            &format!("{token},admin,admin,\"system:masters\"\n"),
        )?;
        Ok(Self {
            folder: folder.to_owned(),
            token,
        })
    }

    pub(super) fn kubeconfig_path(&self) -> PathBuf {
        self.folder.join(KUBECONFIG)
    }

    /// A client that trusts the API server's certificate, and the header by which the admin is known.
    pub(super) fn http(&self, cluster: &str) -> Result<(reqwest::Client, String), Error> {
        let path = self.folder.join(API_CERTIFICATE);
        let pem = fs::read(&path).map_err(|source| failed("reading", &path, source))?;
        let unusable = |source: reqwest::Error| Error::Document {
            operation: "making a client from the certificate",
            cluster: cluster.to_owned(),
            source: source.into(),
        };
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(unusable)?;
        let client = reqwest::Client::builder()
            .tls_certs_only(authorities)
            .no_proxy()
            .build()
            .map_err(unusable)?;
        Ok((client, format!("Bearer {}", self.token)))
    }

    pub(super) fn write_kubeconfig(&self, cluster: &str, port: u16) -> Result<(), Error> {
        write_secret(&self.kubeconfig_path(), &self.kubeconfig(cluster, port)?)
    }

    pub(super) fn kubeconfig(&self, cluster: &str, port: u16) -> Result<String, Error> {
        let certificate = self.folder.join(API_CERTIFICATE);
        let ca = fs::read(&certificate).map_err(|source| failed("reading", &certificate, source))?;
        let (ca, token) = (STANDARD.encode(ca), &self.token);
        Ok(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {cluster}\nclusters:\n- name: {cluster}\n  cluster:\n    \
             server: https://127.0.0.1:{port}\n    certificate-authority-data: {ca}\nusers:\n- name: admin\n  user:\n    \
             token: {token}\ncontexts:\n- name: {cluster}\n  context:\n    cluster: {cluster}\n    user: admin\n"
        ))
    }
}

/// Whether the API server of `folder` answers `path` with success, over TLS with its own CA.
pub(super) async fn answers(folder: &Path, port: u16, path: &str) -> bool {
    // Not there before the server has made it.
    let Ok(pem) = fs::read(folder.join(API_CERTIFICATE)) else {
        return false;
    };
    let Ok(authorities) = reqwest::Certificate::from_pem_bundle(&pem) else {
        return false;
    };
    let client = reqwest::Client::builder()
        .tls_certs_only(authorities)
        .timeout(ANSWER_WITHIN)
        .no_proxy();
    let Ok(client) = client.build() else { return false };
    let answer = client.get(format!("https://127.0.0.1:{port}{path}")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// Whether the controllers have begun to work: one of them makes this account in every namespace.
pub(super) async fn controllers_work(client: &kube::Client) -> bool {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    tokio::time::timeout(ANSWER_WITHIN, accounts.get_opt("default"))
        .await
        .is_ok_and(|got| matches!(got, Ok(Some(_))))
}

fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let file = fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|source| failed("writing", path, source))
}
