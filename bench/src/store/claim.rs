//! PostgreSQL's own claim: one UPDATE of a ticket and one line of a log for each scan, over four connections. A system that
//! asks its database at the gate can be no faster than this. Knows SQL of its own; knows nothing of the projection.

use super::crowd::GATES;
use super::place::{Server, new_database};
use anyhow::{Result, anyhow};
use engine::sim_disk::SplitMix64;
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;

const CONNECTIONS: u64 = 4;
const TICKETS: i64 = 100_000;

const SCHEMA: &str = "CREATE TABLE claims (code bigint PRIMARY KEY, used integer NOT NULL, at timestamptz); \
     CREATE TABLE log (id bigserial PRIMARY KEY, code bigint NOT NULL, device integer NOT NULL, at timestamptz NOT NULL); \
     INSERT INTO claims SELECT n, 0, NULL FROM generate_series(0, 99999) AS n";
/// One journey to the server, one commit: as cheap as it can be made.
const CLAIM: &str = "WITH claimed AS (UPDATE claims SET used = used + 1, at = now() WHERE code = $1 RETURNING code) \
     INSERT INTO log (code, device, at) SELECT code, $2, now() FROM claimed";

/// Claims per second of a server; `None`: it is none.
///
/// # Errors
/// The server refuses.
pub fn per_second(server: &Server, length: Duration) -> Result<Option<f64>> {
    let Server::Postgres(server) = server else { return Ok(None) };
    let url = new_database(server)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        let moving = tokio::spawn(connection);
        client.batch_execute(SCHEMA).await?;
        let began = Instant::now();
        let all = (0..CONNECTIONS).map(|seed| tokio::spawn(claim(url.clone(), seed, began + length)));
        let mut count = 0;
        for own in all.collect::<Vec<_>>() {
            count += own.await??;
        }
        let took = began.elapsed();
        let logged: i64 = client.query_one("SELECT count(*) FROM log", &[]).await?.get(0);
        drop(client);
        moving.await??;
        if logged as u64 == count {
            Ok(Some(count as f64 / took.as_secs_f64()))
        } else {
            Err(anyhow!("claims were lost"))
        }
    })
}

/// Claims on one connection until then; how many.
async fn claim(url: String, seed: u64, until: Instant) -> Result<u64> {
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    let moving = tokio::spawn(connection);
    let statement = client.prepare(CLAIM).await?;
    let (mut random, mut count) = (SplitMix64(seed), 0);
    while Instant::now() < until {
        let (code, device) = (random.below(TICKETS as u64) as i64, random.below(u64::from(GATES)) as i32);
        count += client.execute(&statement, &[&code, &device]).await?;
    }
    drop(client);
    moving.await??;
    Ok(count)
}
