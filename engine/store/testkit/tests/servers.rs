//! The servers themselves: every version that is in place comes up, is stopped, killed and started again.

use store_testkit::{Postgres, PostgresOptions, all_programs};

#[test]
fn every_version_starts_stops_is_killed_and_comes_back() {
    for programs in all_programs() {
        let mut postgres = Postgres::start(&programs, &PostgresOptions::default());
        assert!(postgres.url("x").contains(&postgres.port().to_string()));
        postgres.stop();
        assert!(postgres.log().contains("database system is shut down"));
        postgres.resume();
        postgres.kill();
        postgres.resume();
        assert!(postgres.log().contains("database system was interrupted"), "{}", postgres.log());
    }
}
