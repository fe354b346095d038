//! Lies in the transfer: bytes, lengths, redirects, tokens, pages, waits.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::IntoResponse;
use domain::{Digest, ImageRef};

use super::liar::{Liar, REPOSITORY, reply};
use crate::error::Denial;
use crate::{Error, Failure, Operation};

const EMPTY_INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

fn tag(tag: &str) -> ImageRef {
    ImageRef::tagged(REPOSITORY, tag).unwrap()
}

async fn blob(liar: &Liar, digest: Digest, max: u64) -> Result<Vec<u8>, Error> {
    liar.client().blob(REPOSITORY, digest, max).await
}

#[tokio::test]
async fn bytes_that_a_digest_does_not_name_are_refused() {
    let liar = Liar::start().await;
    let wanted = Digest::of(b"good");
    liar.serve("blobs", &wanted.to_string(), "evil");
    let error = blob(&liar, wanted, 100).await.unwrap_err();
    assert!(matches!(error.failure, Failure::DigestMismatch { found, .. } if found == Digest::of(b"evil")));
    assert_eq!((error.operation, error.retryable()), (Operation::Blob, false));
    assert_eq!(
        error.to_string(),
        format!("fetching blob of {REPOSITORY}@{wanted}")
    );

    liar.serve("manifests", &wanted.to_string(), EMPTY_INDEX);
    let error = liar
        .client()
        .manifest(&tag("v1").pinned(wanted))
        .await
        .unwrap_err();
    assert!(matches!(error.failure, Failure::DigestMismatch { .. }));
}

#[tokio::test]
async fn a_tag_is_answered_with_the_digest_of_the_bytes_and_not_of_a_header() {
    let liar = Liar::start().await;
    let lie = Digest::of(b"lie").to_string();
    liar.on("/v2/fluxcd/x/manifests/v1", move |_, _| {
        reply(
            200,
            &[("docker-content-digest", &lie), ("content-type", "text/html")],
            EMPTY_INDEX,
        )
    });
    let manifest = liar.client().manifest(&tag("v1")).await.unwrap().unwrap();
    assert_eq!(manifest.digest, Digest::of(EMPTY_INDEX.as_bytes()));
    assert_eq!(manifest.image, tag("v1").pinned(manifest.digest));
    assert!(manifest.is_index());
}

#[tokio::test]
async fn what_is_not_there_is_nothing_for_a_tag_and_missing_for_a_blob() {
    let liar = Liar::start().await;
    assert!(liar.client().manifest(&tag("v9")).await.unwrap().is_none());
    let error = blob(&liar, Digest::of(b""), 100).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Missing));
}

#[tokio::test]
async fn a_body_is_read_to_its_cap_and_no_further() {
    let liar = Liar::start().await;
    let wanted = Digest::of(b"endless");
    liar.on(&format!("/v2/fluxcd/x/blobs/{wanted}"), |_, _| {
        let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 4096])));
        Body::from_stream(tokio_stream::iter(chunks)).into_response()
    });
    let error = blob(&liar, wanted, 100_000).await.unwrap_err();
    assert!(matches!(error.failure, Failure::TooLarge { cap: 100_000 }));

    let announced = liar.blob(b"four");
    assert!(matches!(
        blob(&liar, announced, 3).await.unwrap_err().failure,
        Failure::TooLarge { cap: 3 }
    ));
    assert_eq!(blob(&liar, announced, 4).await.unwrap(), b"four");
}

#[tokio::test]
async fn a_cap_holds_for_bytes_from_the_cache_too() {
    let liar = Liar::start().await;
    let digest = liar.blob(b"four");
    let client = liar.client();
    assert!(client.blob(REPOSITORY, digest, 4).await.is_ok());
    assert!(client.blob(REPOSITORY, digest, 3).await.is_err());
}

#[tokio::test]
async fn a_slow_body_ends_at_the_deadline() {
    let liar = Liar::start().await;
    let wanted = Digest::of(b"slow");
    liar.on(&format!("/v2/fluxcd/x/blobs/{wanted}"), |_, _| {
        Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>()).into_response()
    });
    let client = liar.client_within(Duration::from_millis(100));
    let error = client.blob(REPOSITORY, wanted, 100).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Deadline(_)) && error.retryable());
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_once_and_sent_to_the_registry_alone() {
    let (liar, store) = (Liar::start().await, Liar::start().await);
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"here\",scope=\"all:the:things\"",
        liar.address()
    );
    liar.on(
        "/token?service=here&scope=repository%3Afluxcd%2Fx%3Apull",
        |_, _| reply(200, &[], r#"{"token":"abc","expires_in":300}"#),
    );
    let digest = Digest::of(b"content");
    let at_store = format!("{}/content?sig=secret", store.address());
    liar.on(
        &format!("/v2/fluxcd/x/blobs/{digest}"),
        move |_, token| match token {
            Some("Bearer abc") => reply(307, &[("location", &at_store)], ""),
            _ => reply(401, &[("www-authenticate", &challenge)], ""),
        },
    );
    store.on("/content?sig=secret", |_, _| reply(200, &[], "content"));
    let client = liar.client();
    assert_eq!(client.blob(REPOSITORY, digest, 100).await.unwrap(), b"content");
    assert_eq!(store.seen(), [("/content?sig=secret".to_owned(), None)]);
    let _ = client.manifest(&tag("v1")).await.unwrap();
    let tokens = liar
        .seen()
        .iter()
        .filter(|(path, _)| path.starts_with("/token"))
        .count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn a_registry_that_refuses_after_the_token_has_refused() {
    let liar = Liar::start().await;
    let challenge = format!("Bearer realm=\"{}/token\"", liar.address());
    liar.on("/token?scope=repository%3Afluxcd%2Fx%3Apull", |_, _| {
        reply(200, &[], r#"{"access_token":"abc"}"#)
    });
    liar.on("/v2/fluxcd/x/manifests/v1", move |_, _| {
        reply(401, &[("www-authenticate", &challenge)], "")
    });
    let error = liar.client().manifest(&tag("v1")).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Denied(Denial::Refused)));
}

#[tokio::test]
async fn a_redirect_to_plain_http_beyond_this_machine_is_refused() {
    let liar = Liar::start().await;
    for location in [
        "http://198.51.100.1/x?sig=secret",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
    ] {
        let digest = Digest::of(location.as_bytes());
        liar.on(&format!("/v2/fluxcd/x/blobs/{digest}"), move |_, _| {
            reply(307, &[("location", location)], "")
        });
        let error = blob(&liar, digest, 100).await.unwrap_err();
        assert!(
            matches!(&error.failure, Failure::Redirect(to) if !to.contains("secret")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn redirects_end() {
    let liar = Liar::start().await;
    liar.on("/v2/fluxcd/x/manifests/v1", |_, _| {
        reply(302, &[("location", "v1")], "")
    });
    let error = liar.client().manifest(&tag("v1")).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Redirect(_)));
    assert_eq!(liar.seen().len(), 6);
}

#[tokio::test]
async fn tags_are_read_page_by_page_and_only_from_the_same_origin() {
    let liar = Liar::start().await;
    liar.on("/v2/fluxcd/x/tags/list?n=1000", |_, _| {
        reply(
            200,
            &[("link", r#"</v2/fluxcd/x/tags/list?n=1000&last=b>; rel="next""#)],
            r#"{"tags":["a","b"]}"#,
        )
    });
    liar.on("/v2/fluxcd/x/tags/list?n=1000&last=b", |_, _| {
        reply(200, &[], r#"{"tags":["c","../d"]}"#)
    });
    assert_eq!(liar.client().tags(REPOSITORY).await.unwrap(), ["a", "b", "c"]);

    liar.on("/v2/fluxcd/x/tags/list?n=1000", |_, _| {
        reply(
            200,
            &[("link", r#"<https://elsewhere.example.org/v2/>; rel="next""#)],
            r#"{"tags":[]}"#,
        )
    });
    let error = liar.client().tags(REPOSITORY).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Redirect(_)));
}

#[tokio::test]
async fn pages_of_tags_end() {
    let liar = Liar::start().await;
    liar.on("/v2/fluxcd/x/tags/list?n=1000", |_, _| {
        reply(
            200,
            &[("link", r#"</v2/fluxcd/x/tags/list?n=1000>; rel="next""#)],
            r#"{"tags":["a"]}"#,
        )
    });
    let error = liar.client().tags(REPOSITORY).await.unwrap_err();
    assert!(matches!(error.failure, Failure::TooMany { cap: 64, .. }));
}

#[tokio::test]
async fn a_registry_that_asks_to_wait_is_asked_three_times_and_within_the_deadline() {
    let liar = Liar::start().await;
    liar.on("/v2/fluxcd/x/manifests/v1", |before, _| match before {
        0 | 1 => reply(429, &[("retry-after", "0")], ""),
        _ => reply(200, &[], EMPTY_INDEX),
    });
    assert!(liar.client().manifest(&tag("v1")).await.unwrap().is_some());

    liar.on("/v2/fluxcd/x/manifests/v2", |_, _| {
        reply(503, &[("retry-after", "0")], "")
    });
    let error = liar.client().manifest(&tag("v2")).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Status(503)) && error.retryable());
    assert_eq!(
        liar.seen()
            .iter()
            .filter(|(path, _)| path.ends_with("v2"))
            .count(),
        3
    );

    liar.on("/v2/fluxcd/x/manifests/v3", |_, _| {
        reply(429, &[("retry-after", "3600")], "")
    });
    let error = liar.client().manifest(&tag("v3")).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Status(429)));
    assert_eq!(
        liar.seen()
            .iter()
            .filter(|(path, _)| path.ends_with("v3"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_digest_is_fetched_once_however_many_ask() {
    let liar = Liar::start().await;
    let digest = liar.blob(b"shared");
    let client = liar.client();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        calls.spawn(async move { client.blob(REPOSITORY, digest, 100).await.unwrap() });
    }
    assert_eq!(calls.join_all().await.len(), 8);
    assert_eq!(liar.seen().len(), 1);
}

/// What `If-None-Match` of the request said decides; a registry that ignores it sends the bytes again.
fn conditional(liar: &Liar, body: &'static str) {
    let tag = format!("\"{}\"", Digest::of(body.as_bytes()));
    liar.on_condition("/v2/fluxcd/x/manifests/v1", move |condition| {
        match condition == Some(tag.as_str()) {
            true => reply(304, &[], ""),
            false => reply(200, &[], body),
        }
    });
}

#[tokio::test]
async fn what_a_tag_names_is_fetched_again_only_when_it_moved() {
    let other = r#"{"schemaVersion":2,"manifests":[ ]}"#;
    let liar = Liar::start().await;
    conditional(&liar, EMPTY_INDEX);
    let client = liar.client();
    for _ in 0..3 {
        let found = client.manifest(&tag("v1")).await.unwrap().unwrap();
        assert_eq!(found.bytes.as_ref(), EMPTY_INDEX.as_bytes());
    }
    conditional(&liar, other);
    let found = client.manifest(&tag("v1")).await.unwrap().unwrap();
    assert_eq!(found.digest, Digest::of(other.as_bytes()));
    let held = |body: &str| Some(format!("\"{}\"", Digest::of(body.as_bytes())));
    let asked: Vec<_> = liar.conditions();
    assert_eq!(
        asked,
        [None, held(EMPTY_INDEX), held(EMPTY_INDEX), held(EMPTY_INDEX)]
    );
}

#[tokio::test]
async fn unchanged_is_no_answer_to_who_holds_nothing() {
    let liar = Liar::start().await;
    liar.on("/v2/fluxcd/x/manifests/v1", |_, _| reply(304, &[], ""));
    let error = liar.client().manifest(&tag("v1")).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Status(304)));
    let digest = Digest::of(b"x");
    liar.on(&format!("/v2/fluxcd/x/blobs/{digest}"), |_, _| {
        reply(304, &[], "")
    });
    let error = blob(&liar, digest, 100).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Status(304)));
}

#[tokio::test]
async fn a_name_that_is_no_upstream_name_is_never_asked_for() {
    let liar = Liar::start().await;
    let error = liar.client().tags("ghcr.io/../x").await.unwrap_err();
    assert!(matches!(error.failure, Failure::Repository));
    assert!(liar.seen().is_empty());
}
