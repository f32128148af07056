//! What the engines say, in the words of [`Error`]: one table for each engine, by its stable codes.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use super::Error;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => of_database(error.as_ref()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error.to_string()),
            sqlx::Error::Configuration(error) => Self::Invalid(format!("the database's URL can't be used: {error}")),
            sqlx::Error::ColumnDecode { index, source } => Self::corrupt(format!("column {index}"), source),
            sqlx::Error::Decode(source) => Self::corrupt("a column", source),
            sqlx::Error::Encode(source) => Self::Invalid(format!("a value can't be stored: {source}")),
            error => Self::Engine(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(failure, message) => {
                of_sqlite(failure.extended_code, message.unwrap_or_else(|| failure.to_string()))
            }
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::corrupt("a column", error),
            rusqlite::Error::ToSqlConversionFailure(_) => Self::Invalid(format!("a value can't be stored: {error}")),
            error => Self::Engine(error.to_string()),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
                match Self::from(error) {
                    Self::Engine(reason) => Self::Migration(reason),
                    other => other,
                }
            }
            error => Self::Migration(error.to_string()),
        }
    }
}

fn of_database(error: &dyn DatabaseError) -> Error {
    let message = error.message().to_owned();
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        of_postgres(error.code(), message)
    } else if error.try_downcast_ref::<SqliteError>().is_some() {
        let code = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        of_sqlite(code, message)
    } else {
        Error::Engine(message)
    }
}

/// By the codes of PostgreSQL's appendix A.
fn of_postgres(code: &str, message: String) -> Error {
    let message = format!("{message} ({code})");
    match code {
        "53100" => Error::Full(message),
        "XX001" | "XX002" => Error::corrupt("PostgreSQL's own files", message),
        // A value that the engine can't hold: numbers out of range, entries too large for an index, too deep a document.
        "54000" | "54001" | "54011" => Error::Invalid(message),
        // Cancelled by the time limit on statements or on locks; chosen to break a deadlock or a tie; out of memory or
        // connections; on a standby that has not been promoted; the disk does not answer.
        "57014" | "55P03" | "40001" | "40P01" | "53000" | "53200" | "53300" | "25006" | "25P03" | "58030" => {
            Error::Unavailable(message)
        }
        // Connections that break; the server goes down or comes up.
        code if code.starts_with("08") || code.starts_with("57P") => Error::Unavailable(message),
        code if code.starts_with("22") => Error::Invalid(message),
        _ => Error::Engine(message),
    }
}

/// By SQLite's primary result codes, which are the low byte of the extended ones.
fn of_sqlite(code: i32, message: String) -> Error {
    let message = format!("{message} ({code})");
    match code & 0xff {
        13 => Error::Full(message),
        11 | 26 => Error::corrupt("SQLite's file", message),
        18 => Error::Invalid(message),
        // Busy, locked, out of memory, interrupted, the disk does not answer, the file can't be opened, its locks fail.
        5 | 6 | 7 | 9 | 10 | 14 | 15 => Error::Unavailable(message),
        _ => Error::Engine(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        assert!(matches!(of_postgres("53100", String::new()), Error::Full(_)));
        assert!(matches!(of_sqlite(13, String::new()), Error::Full(_)));
    }

    #[test]
    fn both_ways_to_sqlite_say_the_same() {
        let failure = |code| Error::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
        assert!(matches!(failure(13), Error::Full(_)));
        assert!(matches!(failure(11), Error::Corrupt { .. }));
        // 2570 is SQLITE_IOERR_BEGIN_ATOMIC, an extended code of 10.
        for code in [5, 6, 2_570] {
            assert!(matches!(failure(code), Error::Unavailable(_)), "{code}");
        }
        let range = rusqlite::Error::IntegralValueOutOfRange(0, -1);
        assert!(matches!(Error::from(range), Error::Corrupt { .. }));
    }

    #[test]
    fn what_may_pass_by_itself_is_transient() {
        for code in ["57P01", "57P03", "08006", "40P01", "53300", "57014"] {
            assert!(of_postgres(code, String::new()).is_transient(), "{code}");
        }
        // 261 is SQLITE_BUSY_RECOVERY, an extended code of 5.
        for code in [5, 6, 10, 261] {
            assert!(of_sqlite(code, String::new()).is_transient(), "{code}");
        }
        assert!(Error::from(sqlx::Error::PoolTimedOut).is_transient());
    }

    #[test]
    fn damage_and_mistakes_are_not_transient() {
        assert!(matches!(of_sqlite(26, String::new()), Error::Corrupt { .. }));
        assert!(matches!(of_postgres("XX001", String::new()), Error::Corrupt { .. }));
        assert!(matches!(of_postgres("22003", String::new()), Error::Invalid(_)));
        assert!(matches!(of_postgres("42P01", String::new()), Error::Engine(_)));
    }
}
