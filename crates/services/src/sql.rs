//! One set of queries for both databases: SQLite in a directory, and PostgreSQL for processes on several machines.
//!
//! The queries use the SQL that both understand: `CASE`, `coalesce`, `ON CONFLICT`, `IS DISTINCT FROM`, numbers 0 and 1
//! in place of booleans, and a column `rowid`, which SQLite has by itself. Parameters are written as `?1`.
//!
//! Transactions that write run one after the other, for all processes: SQLite has one writer, and in PostgreSQL they
//! hold an advisory lock. So a function may count rows and add one, or read a row and claim it.

use std::sync::Arc;

use rusqlite::{
    ToSql, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use tokio_postgres::types::Type;

use crate::{
    database::{Database, DatabaseFault},
    postgres::{Postgres, PostgresFault, PostgresTransaction, TypedValue},
};
use cursorgate_gateway::runtime::clock;

/// A parameter of a statement. PostgreSQL needs the type of a value even if the value is missing.
#[derive(Clone, Copy, Debug)]
pub(super) enum SqlValue<'v> {
    Integer(Option<i64>),
    Text(Option<&'v str>),
    Bytes(Option<&'v [u8]>),
}

/// Makes the parameters of a statement of values that convert into [`SqlValue`].
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::SqlValue::from($value)),*] };
}
pub(super) use values;

impl From<i64> for SqlValue<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<Option<i64>> for SqlValue<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for SqlValue<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(Some(number.into()))
    }
}

impl From<bool> for SqlValue<'_> {
    fn from(flag: bool) -> Self {
        Self::Integer(Some(flag.into()))
    }
}

impl<'v> From<&'v str> for SqlValue<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'v> From<Option<&'v str>> for SqlValue<'v> {
    fn from(text: Option<&'v str>) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<&'v String> for SqlValue<'v> {
    fn from(text: &'v String) -> Self {
        Self::Text(Some(text))
    }
}

impl<'v> From<&'v Option<String>> for SqlValue<'v> {
    fn from(text: &'v Option<String>) -> Self {
        Self::Text(text.as_deref())
    }
}

impl<'v> From<&'v [u8]> for SqlValue<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl ToSql for SqlValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Integer(Some(number)) => ValueRef::Integer(number),
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Integer(None) | Self::Text(None) | Self::Bytes(None) => ValueRef::Null,
        }))
    }
}

impl SqlValue<'_> {
    fn typed(&self) -> TypedValue<'_> {
        match self {
            Self::Integer(number) => (number, Type::INT8),
            Self::Text(text) => (text, Type::TEXT),
            Self::Bytes(bytes) => (bytes, Type::BYTEA),
        }
    }
}

/// Returns the parameters of a list in SQL: `count` of them, beginning with the number `first`. Example: `?2, ?3`.
pub(super) fn places(first: usize, count: usize) -> String {
    let places: Vec<String> = (first..first.saturating_add(count)).map(|place| format!("?{place}")).collect();
    places.join(", ")
}

/// A value of a row.
#[derive(Debug)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A type of values in rows.
pub(super) trait FromCell: Sized {
    /// Returns the value; `None` if the cell has another type.
    fn from_cell(cell: Cell) -> Option<Self>;
}

impl FromCell for i64 {
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Integer(number) = cell { Some(number) } else { None }
    }
}

impl FromCell for u32 {
    fn from_cell(cell: Cell) -> Option<Self> {
        i64::from_cell(cell)?.try_into().ok()
    }
}

impl FromCell for bool {
    fn from_cell(cell: Cell) -> Option<Self> {
        Some(i64::from_cell(cell)? != 0)
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text) } else { None }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Bytes(bytes) = cell { Some(bytes) } else { None }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell) -> Option<Self> {
        if matches!(cell, Cell::Null) { Some(None) } else { T::from_cell(cell).map(Some) }
    }
}

/// A row of a result.
pub(super) struct Row {
    names: Arc<[String]>,
    cells: Vec<Cell>,
}

impl Row {
    /// Takes the value of a column out of the row.
    pub(super) fn take<T: FromCell>(&mut self, name: &str) -> Result<T, DatabaseFault> {
        let place = self.names.iter().position(|known| known == name);
        let cell = place.and_then(|place| self.cells.get_mut(place)).map(|cell| std::mem::replace(cell, Cell::Null));
        cell.and_then(T::from_cell).ok_or_else(|| DatabaseFault::Column(name.to_owned()))
    }
}

/// A transaction of one of the databases. Its functions block.
pub(super) enum SqlTransaction<'c> {
    Sqlite(&'c rusqlite::Transaction<'c>),
    Postgres(&'c PostgresTransaction),
}

impl SqlTransaction<'_> {
    /// Returns the time of the transaction's beginning by the clock of the store, in milliseconds since 1970. All
    /// processes that share the store have this clock, so times in the store can be compared with it: PostgreSQL has the
    /// clock of its server, and SQLite the one of the machine.
    pub(super) fn now(&self) -> u64 {
        match self {
            Self::Sqlite(_) => clock::unix_milliseconds(),
            Self::Postgres(transaction) => transaction.now(),
        }
    }

    /// Executes a statement, and returns the number of rows that it has changed.
    pub(super) fn execute(&self, statement: &str, values: &[SqlValue<'_>]) -> Result<usize, DatabaseFault> {
        match self {
            Self::Sqlite(transaction) => Ok(transaction.execute(statement, params_from_iter(values))?),
            Self::Postgres(transaction) => {
                let changed = transaction.execute(&numbered(statement), &typed(values))?;
                Ok(usize::try_from(changed).unwrap_or(usize::MAX))
            }
        }
    }

    /// Executes a statement and returns its rows.
    pub(super) fn rows(&self, statement: &str, values: &[SqlValue<'_>]) -> Result<Vec<Row>, DatabaseFault> {
        match self {
            Self::Sqlite(transaction) => {
                let mut statement = transaction.prepare(statement)?;
                let names: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
                let rows = statement.query_map(params_from_iter(values), |row| {
                    let cells = (0..names.len()).map(|place| row.get_ref(place).map(sqlite_cell));
                    Ok(Row { names: Arc::clone(&names), cells: cells.collect::<Result<_, _>>()? })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Self::Postgres(transaction) => {
                let rows = transaction.query(&numbered(statement), &typed(values))?;
                let columns = rows.first().map(tokio_postgres::Row::columns).unwrap_or_default();
                let names: Arc<[String]> = columns.iter().map(|column| column.name().to_owned()).collect();
                let read = |row: &tokio_postgres::Row| {
                    let cells = (0..names.len()).map(|place| postgres_cell(row, place));
                    Ok(Row { names: Arc::clone(&names), cells: cells.collect::<Result<_, DatabaseFault>>()? })
                };
                rows.iter().map(read).collect()
            }
        }
    }

    /// Executes a statement and returns its first row; `None` if it has none.
    pub(super) fn row(&self, statement: &str, values: &[SqlValue<'_>]) -> Result<Option<Row>, DatabaseFault> {
        Ok(self.rows(statement, values)?.into_iter().next())
    }

    /// Executes a statement and returns the first column of its first row; `None` if it has no rows.
    pub(super) fn cell<T: FromCell>(
        &self,
        statement: &str,
        values: &[SqlValue<'_>],
    ) -> Result<Option<T>, DatabaseFault> {
        let Some(row) = self.row(statement, values)? else { return Ok(None) };
        let cell = row.cells.into_iter().next().and_then(T::from_cell);
        cell.map(Some).ok_or_else(|| DatabaseFault::Column(row.names.first().cloned().unwrap_or_default()))
    }
}

/// Returns a statement with its parameters as PostgreSQL writes them. No query has a question mark in a text.
fn numbered(statement: &str) -> String {
    statement.replace('?', "$")
}

fn typed<'v>(values: &'v [SqlValue<'v>]) -> Vec<TypedValue<'v>> {
    values.iter().map(SqlValue::typed).collect()
}

fn sqlite_cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
        // No column of the tables has fractions.
        ValueRef::Null | ValueRef::Real(_) => Cell::Null,
    }
}

fn postgres_cell(row: &tokio_postgres::Row, place: usize) -> Result<Cell, DatabaseFault> {
    let kind = row.columns().get(place).map(tokio_postgres::Column::type_);
    let cell = match kind {
        Some(&Type::INT8) => row.try_get::<_, Option<i64>>(place).map(|number| number.map(Cell::Integer)),
        Some(&Type::INT4) => {
            row.try_get::<_, Option<i32>>(place).map(|number| number.map(i64::from).map(Cell::Integer))
        }
        Some(&Type::BYTEA) => row.try_get::<_, Option<Vec<u8>>>(place).map(|bytes| bytes.map(Cell::Bytes)),
        _ => row.try_get::<_, Option<String>>(place).map(|text| text.map(Cell::Text)),
    };
    Ok(cell.map_err(PostgresFault::from)?.unwrap_or(Cell::Null))
}

/// A database of one of the two kinds.
#[derive(Clone)]
pub(super) enum SqlDatabase {
    Sqlite(Database),
    Postgres(Arc<Postgres>),
}

impl SqlDatabase {
    /// Runs `function` in a transaction, on a thread that may block. If the function fails, the transaction is rolled
    /// back.
    ///
    /// # Errors
    ///
    /// Returns the fault of the function or of the transaction, and [`DatabaseFault::Task`] if the function panics.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce(&SqlTransaction<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, DatabaseFault> {
        match self {
            Self::Sqlite(database) => {
                database.call(move |transaction| function(&SqlTransaction::Sqlite(transaction))).await
            }
            Self::Postgres(postgres) => run(postgres.begin(true).await?, function).await,
        }
    }

    /// Runs `function`, which only reads, as [`call`](Self::call) does. It waits for no write, and no write waits for
    /// it.
    ///
    /// # Errors
    ///
    /// Returns the fault of the function or of the transaction, and [`DatabaseFault::Task`] if the function panics.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        function: impl FnOnce(&SqlTransaction<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, DatabaseFault> {
        match self {
            Self::Sqlite(database) => {
                database.read(move |transaction| function(&SqlTransaction::Sqlite(transaction))).await
            }
            Self::Postgres(postgres) => run(postgres.begin(false).await?, function).await,
        }
    }
}

async fn run<T: Send + 'static>(
    transaction: PostgresTransaction,
    function: impl FnOnce(&SqlTransaction<'_>) -> Result<T, DatabaseFault> + Send + 'static,
) -> Result<T, DatabaseFault> {
    let called = tokio::task::spawn_blocking(move || {
        // After a fault or a panic the connection is closed, which rolls the transaction back.
        let result = function(&SqlTransaction::Postgres(&transaction))?;
        transaction.commit()?;
        Ok(result)
    });
    called.await.map_err(|_| DatabaseFault::Task)?
}
