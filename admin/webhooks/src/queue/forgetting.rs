//! Forgetting the people that messages about an event name, and every byte of what was sent, in the file. Knows where in a
//! body they are; knows no ticket.

use super::{Queue, wrong};
use crate::error::Error;
use crate::facts::PERSONAL;

impl Queue {
    /// Takes people out of every body that is about an event; the rest of it stays. Gives how many named somebody.
    ///
    /// Reads every body and writes the whole file anew, with the queue held: some seconds where every webhook has all the
    /// dead letters it may have.
    ///
    /// # Errors
    /// The file: to be done again.
    pub fn forget_people(&self, event: &str) -> Result<u64, Error> {
        let place = |field: &&str| format!("'$.data.{field}'");
        let places: Vec<String> = PERSONAL.iter().map(place).collect();
        let names = |place: &String| format!("COALESCE(json_extract(body, {place}), '') <> ''");
        let names: Vec<String> = places.iter().map(names).collect();
        let sql = format!(
            "UPDATE message SET body = json_remove(body, {})
             WHERE json_extract(body, '$.data.event') = ?1 AND ({})",
            places.join(", "),
            names.join(" OR ")
        );
        let gone = self.write(|tx| tx.execute(&sql, [event]))?;
        // What was there before, delivered bodies too, is in no page that is left, and the log with it is cut.
        let held_up = self.read(|connection| {
            connection.execute_batch("VACUUM")?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
        })?;
        if held_up {
            return Err(wrong(&self.path, &"it could not be rewritten: somebody reads it"));
        }
        Ok(gone as u64)
    }
}
