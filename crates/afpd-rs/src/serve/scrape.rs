//! Where the figures can be read: one HTTP answer per connection, on this machine alone.
//!
//! Of HTTP there is what a scrape needs: a GET for `/metrics` is answered and the connection closed. Few are served at a time, and none
//! for long.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tracing::debug;

use super::{ACCEPT_PAUSE, House};
use crate::config::MetricsListen;

/// At a time.
const READERS: usize = 8;

/// For request and answer together.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest request, in bytes.
const REQUEST: usize = 8192;

const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A socket that is listened on.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Listens, and tells where: with the port that the system picked.
pub(super) async fn open(at: &MetricsListen) -> anyhow::Result<(Listener, MetricsListen)> {
    match at {
        MetricsListen::Tcp(address) => {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address} for metrics (metrics.listen)"))?;
            let address = listener.local_addr().context("cannot tell the address of a listening socket")?;
            Ok((Listener::Tcp(listener), MetricsListen::Tcp(address)))
        }
        MetricsListen::Unix(path) => {
            let listener = open_unix(path).with_context(|| {
                format!("cannot listen on {} for metrics (metrics.listen): its directory must be there and ours to write to, and nothing else at its name", path.display())
            })?;
            Ok((Listener::Unix(listener), at.clone()))
        }
    }
}

/// A socket that nobody listens on any more is replaced; anything else of that name is left alone.
fn open_unix(path: &Path) -> std::io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn is_abandoned(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Answers for as long as the program runs.
pub(super) async fn serve(listener: Listener, house: Arc<House>) {
    let readers = Arc::new(Semaphore::new(READERS));
    loop {
        let Ok(reader) = Arc::clone(&readers).acquire_owned().await else { return };
        let house = Arc::clone(&house);
        let accepted = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| spawn(stream, house, reader)),
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| spawn(stream, house, reader)),
        };
        if let Err(error) = accepted {
            debug!("cannot accept a connection for metrics: {error}");
            tokio::time::sleep(ACCEPT_PAUSE.1).await;
        }
    }
}

fn spawn(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    house: Arc<House>,
    reader: tokio::sync::OwnedSemaphorePermit,
) {
    tokio::spawn(async move {
        // Whoever reads them and goes away, or does not read them, has none.
        tokio::time::timeout(PATIENCE, answer(&mut stream, &house)).await.ok();
        drop(reader);
    });
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), house: &House) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).await?;
        request.extend_from_slice(piece.get(..read).unwrap_or_default());
        if read == 0 || request.len() > REQUEST {
            return Ok(());
        }
    }
    let (status, body) = if is_for_figures(&request) {
        ("200 OK", house.figures())
    } else {
        ("404 Not Found", "The figures are at /metrics.\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {TYPE}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn is_for_figures(request: &[u8]) -> bool {
    let Some(target) = request.strip_prefix(b"GET ").and_then(|rest| rest.split(|byte| *byte == b' ').next()) else {
        return false;
    };
    target.split(|byte| *byte == b'?').next() == Some(b"/metrics")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(request: &[u8]) -> String {
        let house = House::for_test();
        let (mut ours, mut theirs) = tokio::io::duplex(64 << 10);
        theirs.write_all(request).await.unwrap();
        theirs.shutdown().await.unwrap();
        answer(&mut ours, &house).await.unwrap();
        drop(ours);
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_scrape() {
        let text = asked(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(TYPE), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("afpd_connections{state=\"stranger\"} 0\n"), "{body}");
        assert!(asked(b"GET /metrics?x HTTP/1.1\r\n\r\n").await.contains("200 OK"));
    }

    #[tokio::test]
    async fn anything_else() {
        for request in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], b"POST /metrics HTTP/1.1\r\n\r\n", b"GET /metricsx HTTP/1.1\r\n\r\n"]
        {
            assert!(asked(request).await.starts_with("HTTP/1.1 404 "));
        }
        assert_eq!(asked(b"GET /metrics HTTP/1.1\r\n").await, "", "half a request");
        assert_eq!(asked(&vec![b'x'; 20_000]).await, "");
    }
}
