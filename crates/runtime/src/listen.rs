//! Ports. Until identities exist every port binds loopback only.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why a port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not of this machine alone.
    #[error(
        "address {address} is not loopback. Until identities exist every port binds loopback only, because \
         anyone who can reach a port could use it; configure 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// As configured.
        address: SocketAddr,
    },
    /// The system refuses the address.
    #[error("binding {address}")]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The address of a socket cannot be told.
    #[error("asking a socket for its address")]
    Address(#[source] io::Error),
}

/// Binds a loopback address; port 0 lets the system choose.
///
/// # Errors
/// If the address is not loopback or is taken.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback { address });
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::Bind { address, source })
}

/// The address of a listener that was bound elsewhere, if it is loopback.
pub(crate) fn loopback(listener: &TcpListener) -> Result<SocketAddr, ListenError> {
    let address = listener.local_addr().map_err(ListenError::Address)?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(ListenError::NotLoopback { address })
    }
}

impl ListenError {
    /// Whether the same call may succeed later: only a port that is taken may become free.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Bind { .. } => true,
            Self::NotLoopback { .. } | Self::Address(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_not_loopback_is_refused() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let refused = bind(address.parse().unwrap()).await.unwrap_err();
            assert!(matches!(refused, ListenError::NotLoopback { .. }), "{address}");
            assert!(refused.to_string().contains("every port binds loopback only"));
        }
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        assert!(loopback(&listener).is_ok());
        let taken = bind(listener.local_addr().unwrap()).await.unwrap_err();
        assert!(taken.retryable());
    }

    #[tokio::test]
    async fn a_listener_bound_elsewhere_is_checked_too() {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        assert!(matches!(
            loopback(&listener),
            Err(ListenError::NotLoopback { .. })
        ));
    }
}
