//! Rows on their way into a table by binary COPY, encoded when they come and sent at once. Knows the form, and no table.
//!
//! ```text
//! "PGCOPY\n\xff\r\n\0" flags:u32 extension:u32   then rows: columns:i16, per column length:i32 (-1: NULL) and bytes
//! at the end -1:i16, all big-endian
//! ```

use crate::error::{StoreError, StoreResult, WhileDoing};
use bytes::{BufMut, Bytes, BytesMut};
use deadpool_postgres::ClientWrapper;
use futures_util::SinkExt;
use tokio_postgres::types::{IsNull, ToSql, Type};

const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const _: () = assert!(HEAD.len() == 19);
const END: i16 = -1;
const NULL: i32 = -1;
/// Bytes given to the connection at once.
const PIECE_BYTES: usize = 256 << 10;

/// Rows for one table.
pub(super) struct Copy {
    into: &'static str,
    types: &'static [Type],
    action: &'static str,
    bytes: BytesMut,
}

// === impl Copy ===

impl Copy {
    /// No rows yet; `into` is the table with its columns, which have these `types`.
    pub(super) fn new(into: &'static str, types: &'static [Type], action: &'static str) -> Copy {
        Copy { into, types, action, bytes: BytesMut::new() }
    }

    /// Encodes one row.
    pub(super) fn row(&mut self, values: &[&(dyn ToSql + Sync)]) -> StoreResult<()> {
        assert_eq!(values.len(), self.types.len(), "a value for each column of {}", self.into);
        if self.bytes.is_empty() {
            self.bytes.put_slice(HEAD);
        }
        self.bytes.put_i16(values.len() as i16);
        for (value, kind) in values.iter().zip(self.types) {
            let at = self.bytes.len();
            self.bytes.put_i32(NULL);
            let written = value.to_sql_checked(kind, &mut self.bytes);
            let is_null = written.map_err(|source| StoreError::Database { action: self.action, source })?;
            if matches!(is_null, IsNull::No) {
                let len = (self.bytes.len() - at - size_of::<i32>()) as i32;
                self.bytes[at..at + size_of::<i32>()].copy_from_slice(&len.to_be_bytes());
            }
        }
        Ok(())
    }

    /// Writes the rows; none are left here, also when it fails.
    pub(super) async fn flush(&mut self, session: &ClientWrapper) -> StoreResult<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        self.bytes.put_i16(END);
        let bytes = self.bytes.split().freeze();
        self.send(session, bytes).await.while_doing(self.action)
    }

    async fn send(&self, session: &ClientWrapper, mut bytes: Bytes) -> Result<(), tokio_postgres::Error> {
        let sql = format!("COPY {} FROM STDIN BINARY", self.into);
        let statement = session.prepare_cached(&sql).await?;
        let mut sink = std::pin::pin!(session.copy_in::<_, Bytes>(&statement).await?);
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            sink.feed(piece).await?;
        }
        sink.finish().await.map(drop)
    }
}
