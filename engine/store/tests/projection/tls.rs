//! Encrypted connections to a server with a certificate of its own: what is trusted, and what is not.

use crate::place::run_at;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use std::path::PathBuf;
use store::{PostgresOptions, PostgresStore, Store, StoreError, StoreResult, TlsMode};
use store_testkit::{Postgres, all_programs};

/// An authority, and a server's certificate of it with its key: all PEM.
struct Issued {
    authority: String,
    certificate: String,
    key: String,
}

fn issue() -> Issued {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&key, &authority, &authority_key).unwrap();
    Issued { authority: authority.pem(), certificate: server.pem(), key: key.serialize_pem() }
}

fn server_with(issued: &Issued) -> Postgres {
    let certificate = Some((issued.certificate.clone(), issued.key.clone()));
    let options = store_testkit::PostgresOptions { certificate, ..Default::default() };
    Postgres::start(&all_programs()[0], &options)
}

fn open(server: &Postgres, tls: TlsMode, tls_roots: Option<PathBuf>) -> StoreResult<PostgresStore> {
    PostgresStore::open(PostgresOptions { tls, tls_roots, ..PostgresOptions::at(&server.url("postgres")) })
}

fn encrypted(server: &Postgres) -> String {
    let sql = "SELECT string_agg(DISTINCT ssl::text, ' ') FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE application_name = 'gatehouse'";
    run_at(&server.url("postgres"), sql)[0][0].clone()
}

#[test]
fn a_server_is_trusted_by_its_authority_and_by_nothing_else() {
    let (issued, other, folder) = (issue(), issue(), tempfile::tempdir().unwrap());
    let server = server_with(&issued);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let own = file("own.pem", &issued.authority);
    for mode in [TlsMode::Require, TlsMode::Prefer] {
        let store = open(&server, mode, own.clone()).unwrap();
        store.cursor().unwrap();
        assert_eq!(encrypted(&server), "true", "{mode:?}");
        drop(store);
        let refused = open(&server, mode, file("other.pem", &other.authority)).map(drop).unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{mode:?}: {refused}");
        // The system knows no such authority.
        assert!(open(&server, mode, None).is_err(), "{mode:?}");
    }
    for (name, text) in
        [("empty.pem", ""), ("garbled.pem", "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")]
    {
        let refused = open(&server, TlsMode::Require, file(name, text)).map(drop).unwrap_err();
        assert!(
            matches!(refused, StoreError::Settings { .. }) && refused.to_string().contains(name),
            "{refused}"
        );
    }
}

#[test]
fn a_server_without_tls_is_used_when_it_may_be_and_refused_when_not() {
    let server = Postgres::start(&all_programs()[0], &Default::default());
    let store = open(&server, TlsMode::Prefer, None).unwrap();
    store.cursor().unwrap();
    assert_eq!(encrypted(&server), "false");
    drop(store);
    let refused = open(&server, TlsMode::Require, None).map(drop).unwrap_err();
    assert!(refused.to_string().contains("TLS"), "{refused}");
}
