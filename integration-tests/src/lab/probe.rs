//! Asking parts on loopback, past any proxy that the user's environment names.

use std::time::Duration;

/// For one answer of a part that may not be there yet.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A client for one runtime and one part or registry.
pub(crate) fn client() -> reqwest::Client {
    // Building fails only where TLS cannot be set up at all, in which case the default would fail as well.
    reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWER_WITHIN)
        .build()
        .unwrap_or_default()
}

/// Whether `path` on a loopback `port` is answered with success over plain HTTP.
pub(crate) async fn answers(client: &reqwest::Client, port: u16, path: &str) -> bool {
    let answer = client.get(format!("http://127.0.0.1:{port}{path}")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}
