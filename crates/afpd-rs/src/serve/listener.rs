//! Opening the listening sockets.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::info;

/// Connections the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 1024;

/// Listens on every address. An IPv6 wildcard on a machine without IPv6 is passed over if another address remains.
pub(super) fn open_all(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for &address in addresses {
        match open(address) {
            Ok(listener) => listeners.push(listener),
            Err(error)
                if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && lacks_ipv6(&error) && addresses.len() > 1 =>
            {
                info!("not listening on {address}: this machine has no IPv6");
            }
            Err(error) => {
                let hint = match error.kind() {
                    ErrorKind::AddrInUse => format!(
                        "another program has this port; stop it (`ss -ltnp 'sport = :{0}'` shows which) or choose another with --listen {1}:PORT",
                        address.port(),
                        bracketed(address.ip())
                    ),
                    ErrorKind::PermissionDenied => format!(
                        "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; or choose another with --listen {}:5548",
                        bracketed(address.ip())
                    ),
                    ErrorKind::AddrNotAvailable => {
                        "this machine has no such address; `ip addr` lists those it has".to_owned()
                    }
                    _ => "check the listen addresses".to_owned(),
                };
                return Err(error).with_context(|| format!("cannot listen on {address}: {hint}"));
            }
        }
    }
    Ok(listeners)
}

fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One socket per family, so that 0.0.0.0 and [::] can stand side by side.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn lacks_ipv6(error: &std::io::Error) -> bool {
    let Some(code) = error.raw_os_error() else { return false };
    [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL].iter().any(|errno| errno.raw_os_error() == code)
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
