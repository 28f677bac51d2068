//! Encrypted connections: rustls with the authorities of the system or of a file. Knows certificates and no SQL.

use super::options::{PostgresOptions, TlsMode};
use crate::error::{StoreError, StoreResult};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What encrypts connections; with [`TlsMode::Disable`] it is there and never used.
pub(super) fn connector(options: &PostgresOptions) -> StoreResult<MakeRustlsConnect> {
    let roots = match (&options.tls_roots, options.tls) {
        (_, TlsMode::Disable) => RootCertStore::empty(),
        (Some(path), _) => roots_in(path)?,
        (None, _) => system_roots(),
    };
    // Its own provider and not the process's: a library must not depend on who was first.
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Settings { problem: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Those that can be read; with none every certificate is refused, and the refusal says so.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn roots_in(path: &Path) -> StoreResult<RootCertStore> {
    let wrong = |problem: String| StoreError::Settings {
        problem: format!("certificates in {}: {problem}", path.display()),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("there are none".to_owned())) } else { Ok(roots) }
}
