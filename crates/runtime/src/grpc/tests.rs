use std::convert::Infallible;

use http::{Request, Response};
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt as _;

use super::*;
use crate::listen::bind;

/// A service that never answers.
#[derive(Clone)]
struct Silent;

impl NamedService for Silent {
    const NAME: &'static str = "test.Silent";
}

impl tower::Service<Request<Body>> for Silent {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Pending<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::pending()
    }
}

struct Started {
    address: SocketAddr,
    channel: tonic::transport::Channel,
    ready: Readiness,
    shutdown: Shutdown,
    server: tokio::task::JoinHandle<Result<(), GrpcError>>,
}

async fn start(drain: Duration) -> Started {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ready, shutdown) = (Readiness::default(), Shutdown::new(drain));
    let services = Services {
        routes: Routes::new(Silent),
        names: vec![Silent::NAME.into()],
        descriptor_sets: &[],
    };
    let server = tokio::spawn(serve(listener, services, ready.clone(), shutdown.clone()));
    let channel = tonic::transport::Endpoint::new(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    Started {
        address,
        channel,
        ready,
        shutdown,
        server,
    }
}

/// The `grpc-status` of a call with this deadline, which the server alone keeps: tonic's client would keep it
/// too, and end the call first.
async fn status_of(address: SocketAddr, timeout: &str) -> String {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://localhost/test.Silent/Wait")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", timeout)
        .body(())
        .unwrap();
    let (response, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
    response.await.unwrap().headers()["grpc-status"]
        .to_str()
        .unwrap()
        .to_owned()
}

async fn call_silent(channel: tonic::transport::Channel) -> Status {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.set_timeout(Duration::from_millis(5));
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let path = PathAndQuery::from_static("/test.Silent/Wait");
    client.unary(request, path, codec).await.unwrap_err()
}

async fn health(channel: &tonic::transport::Channel, service: &str) -> i32 {
    let request = HealthCheckRequest {
        service: service.into(),
    };
    HealthClient::new(channel.clone())
        .check(request)
        .await
        .unwrap()
        .into_inner()
        .status
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_deadline_exceeded_and_not_cancelled() {
    let started = start(Duration::from_secs(1)).await;
    // Several lengths, because tonic's own timer for the same header runs beside ours.
    for timeout in ["1m", "20m", "50m", "70000u"] {
        assert_eq!(
            status_of(started.address, timeout).await,
            (Code::DeadlineExceeded as i32).to_string()
        );
    }
}

/// The details of the error with which a method is answered.
async fn reason_of(address: SocketAddr, path: &str, body: &'static [u8]) -> (Code, String) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://localhost/{path}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "100m")
        .body(())
        .unwrap();
    let mut client = client.ready().await.unwrap();
    let (response, mut stream) = client.send_request(request, false).unwrap();
    stream.send_data(body.into(), true).unwrap();
    let status = Status::from_header_map(response.await.unwrap().headers()).unwrap();
    let infos = status.get_error_details_vec();
    assert_eq!(infos.len(), 1, "{path}: {infos:?}");
    (status.code(), status.get_details_error_info().unwrap().reason)
}

#[tokio::test]
async fn errors_that_no_handler_made_have_their_one_reason_too() {
    let started = start(Duration::from_secs(1)).await;
    let answered = async |path: &str, body| reason_of(started.address, path, body).await;
    let with = |code, reason: &str| (code, reason.to_owned());
    // No such service; a message that is none; no answer in time; an answer of somebody else's handler.
    assert_eq!(
        answered("test.Nothing/Get", b"").await,
        with(Code::Unimplemented, "RESOURCE_NOT_FOUND")
    );
    let health = "grpc.health.v1.Health/Check";
    let unreadable = answered(health, b"\0\0\0\0\x02\x0a\xff").await;
    assert!(BARE_REASONS.contains(&unreadable.1.as_str()), "{unreadable:?}");
    assert_eq!(
        answered("test.Silent/Wait", b"").await,
        with(Code::DeadlineExceeded, "HUB_UNAVAILABLE")
    );
    assert_eq!(
        answered(health, b"\0\0\0\0\x03\x0a\x01x").await,
        with(Code::NotFound, "RESOURCE_NOT_FOUND")
    );
}

#[tokio::test]
async fn a_client_that_gave_up_by_itself_is_told_from_one_that_was_cancelled() {
    let started = start(Duration::from_secs(1)).await;
    assert!(is_deadline_exceeded(&call_silent(started.channel).await));
    assert!(is_deadline_exceeded(&Status::deadline_exceeded("by the server")));
    assert!(!is_deadline_exceeded(&Status::cancelled("by a person")));
}

#[tokio::test]
async fn health_follows_readiness() {
    const SERVING: i32 = 1;
    const NOT_SERVING: i32 = 2;
    let started = start(Duration::from_secs(1)).await;
    let condition = started.ready.condition("nats");
    let mut watched = HealthClient::new(started.channel.clone())
        .watch(HealthCheckRequest {
            service: Silent::NAME.into(),
        })
        .await
        .unwrap()
        .into_inner();
    while watched.message().await.unwrap().unwrap().status != NOT_SERVING {}
    condition.set(true);
    while watched.message().await.unwrap().unwrap().status != SERVING {}
    assert_eq!(health(&started.channel, "").await, SERVING);
}

#[tokio::test]
async fn the_drain_is_capped_though_a_stream_stays_open() {
    let started = start(Duration::from_millis(50)).await;
    let watched = HealthClient::new(started.channel.clone())
        .watch(HealthCheckRequest::default())
        .await
        .unwrap();
    started.shutdown.request();
    started.server.await.unwrap().unwrap();
    drop(watched);
}

#[tokio::test]
async fn a_listener_that_is_not_loopback_is_a_start_up_error() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let services = Services {
        routes: Routes::new(Silent),
        names: Vec::new(),
        descriptor_sets: &[],
    };
    let error = serve(listener, services, Readiness::default(), Shutdown::default())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        GrpcError::Listen(ListenError::NotLoopback { .. })
    ));
    assert!(crate::errors::chain(&error).contains("every port binds loopback only"));
}

#[tokio::test]
async fn a_descriptor_set_that_is_none_is_a_start_up_error() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let services = Services {
        routes: Routes::new(Silent),
        names: Vec::new(),
        descriptor_sets: &[b"\xff"],
    };
    let error = serve(listener, services, Readiness::default(), Shutdown::default())
        .await
        .unwrap_err();
    assert!(matches!(error, GrpcError::Reflection(_)));
}
