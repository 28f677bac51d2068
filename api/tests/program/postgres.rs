//! A PostgreSQL server of a test's own, and sites whose nodes project there. Knows no row.

use crate::support::Site;
use store_testkit::{Postgres, all_programs};

/// A database server of a test's own.
pub struct Database {
    pub server: Postgres,
}

impl Database {
    pub fn start() -> Database {
        Database { server: Postgres::start(&all_programs()[0], &Default::default()) }
    }

    /// A site with demo data whose node projects here.
    pub fn site(&self) -> Site {
        self.on(Site::demo())
    }

    pub fn on(&self, site: Site) -> Site {
        site.set("DATABASE_URL", &self.server.url("postgres"))
    }
}
