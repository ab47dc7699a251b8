//! The part of the Kubernetes API that a pod uses to annotate itself, on TLS with its own certificate authority.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A running API server on loopback, and the service account that the kubelet would mount.
pub struct KubernetesApi {
    address: SocketAddr,
    service_account: PathBuf,
    recorded: Arc<Recorded>,
}

/// One call that arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method and the path.
    pub line: String,
    /// `content-type`.
    pub content_type: String,
    /// `authorization`.
    pub authorization: String,
    /// The body.
    pub body: Value,
}

#[derive(Default)]
struct Recorded {
    calls: Mutex<Vec<Call>>,
    status: AtomicU16,
}

/// A certificate authority: its issuer and its certificate.
fn authority() -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

impl KubernetesApi {
    /// Starts it, with the token `first`.
    pub async fn start() -> Self {
        let (authority, pem) = authority();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([Ipv4Addr::LOCALHOST.to_string()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let private_key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let tls =
            tls.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private_key).unwrap();

        let recorded = Arc::new(Recorded { calls: Mutex::default(), status: AtomicU16::new(200) });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&recorded));
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = TlsListener { tcp, tls: TlsAcceptor::from(Arc::new(tls)) };
        tokio::spawn(async move { axum::serve(listener, router).await });

        let service_account =
            std::env::temp_dir().join(format!("darkroom-test-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&service_account).unwrap();
        std::fs::write(service_account.join("ca.crt"), pem).unwrap();
        let api = Self { address, service_account, recorded };
        api.rotate_token("first");
        api
    }

    /// The variables of a worker in the pod `gpu-1` of the namespace `darkroom`, which annotates it.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("MARK_POD", "true".to_owned()),
            ("POD_NAME", "gpu-1".to_owned()),
            ("POD_NAMESPACE", "darkroom".to_owned()),
            ("KUBERNETES_SERVICE_HOST", self.address.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", self.address.port().to_string()),
            ("SERVICE_ACCOUNT_FOLDER", self.service_account.display().to_string()),
        ]
    }

    /// Replaces the token of the service account. A newline follows it, as an editor leaves it.
    pub fn rotate_token(&self, token: &str) {
        std::fs::write(self.service_account.join("token"), format!("{token}\n")).unwrap();
    }

    /// From now on the pod trusts an authority that has not signed this server's certificate.
    pub fn replace_trusted_ca(&self) {
        std::fs::write(self.service_account.join("ca.crt"), authority().1).unwrap();
    }

    /// Answers every further call with that status.
    pub fn answer(&self, status: u16) {
        self.recorded.status.store(status, Ordering::Relaxed);
    }

    /// The calls so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.recorded.calls.lock().unwrap().clone()
    }
}

impl Drop for KubernetesApi {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.service_account);
    }
}

async fn answer(
    State(recorded): State<Arc<Recorded>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    recorded.calls.lock().unwrap().push(Call {
        line: format!("{method} {uri}"),
        content_type: header("content-type"),
        authorization: header("authorization"),
        body: serde_json::from_str(&body).unwrap(),
    });
    StatusCode::from_u16(recorded.status.load(Ordering::Relaxed)).unwrap()
}

/// Accepts connections once their handshake is complete.
struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.tcp.accept().await.unwrap();
            // A client that does not trust the certificate closes the connection.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
