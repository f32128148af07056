//! What the engines say, in the words of [`Error`]: one table for each engine, by its stable codes.

use std::io::ErrorKind;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::sqlite::SqliteError;

use super::{Error, SHOWN};

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => of_database(error.as_ref()),
            // There is nobody to be connected with.
            sqlx::Error::Io(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::NotFound | ErrorKind::PermissionDenied
                ) =>
            {
                Self::Unavailable(error.to_string())
            }
            // An answer that makes no sense tells nothing of what was asked for.
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                Self::Unheard(error.to_string())
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::BeginFailed => {
                Self::Unavailable(error.to_string())
            }
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

impl Error {
    /// What PostgreSQL says, however it was asked.
    pub(crate) fn told_by_postgres(severity: &str, code: &str, words: String) -> Self {
        of_postgres(PgSeverity::try_from(severity).unwrap_or(PgSeverity::Error), code, words)
    }
}

fn of_database(error: &dyn DatabaseError) -> Error {
    let message = error.message().to_owned();
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        let duplicate = if error.code() == "23505" { duplicate(error.table(), error.detail()) } else { None };
        duplicate.unwrap_or_else(|| of_postgres(error.severity(), error.code(), message))
    } else if error.try_downcast_ref::<SqliteError>().is_some() {
        let code = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        of_sqlite(code, message)
    } else {
        Error::Engine(message)
    }
}

/// What is not unique in a read model, in PostgreSQL's words: `Key (_tenant, label)=(default, a) already exists.` The words
/// hang on the server's language, and the parentheses don't.
fn duplicate(table: Option<&str>, detail: Option<&str>) -> Option<Error> {
    let table = table.filter(|table| table.starts_with("rm_"))?.to_owned();
    let (names, values) = detail?.split_once(")=(")?;
    let (_, names) = names.split_once('(')?;
    let (values, _) = values.rsplit_once(')')?;
    let columns = names.split(", ").skip(1).map(|name| name.trim_matches('"').to_owned()).collect();
    // The first value is the tenant, in which there is no comma.
    let (_, value) = values.split_once(", ")?;
    Some(Error::Duplicate { table, columns, value: value.chars().take(SHOWN).collect() })
}

/// By the codes of PostgreSQL's appendix A.
fn of_postgres(severity: PgSeverity, code: &str, message: String) -> Error {
    let message = format!("{message} ({code})");
    match code {
        // The whole server breaks off, whatever the code: a commit whose record it could not sync, because the disk failed
        // or was full, may be on the disk all the same, and is found there when the server comes up again.
        _ if severity == PgSeverity::Panic => Error::Unheard(message),
        "53100" => Error::Full(message),
        "XX001" | "XX002" => Error::corrupt("PostgreSQL's own files", message),
        // A value that the engine can't hold: numbers out of range, entries too large for an index, too deep a document.
        "54000" | "54001" | "54011" => Error::Invalid(message),
        // Cancelled by the time limit on statements or on locks; chosen to break a deadlock or a tie; out of memory or
        // connections; on a standby that has not been promoted; the disk does not answer.
        "57014" | "55P03" | "40001" | "40P01" | "53000" | "53200" | "53300" | "25006" | "25P03" | "58030" => {
            Error::Unavailable(message)
        }
        // Connections that break, as whoever stands between us and the server says; or because another session has
        // crashed, for which this one is ended wherever it is.
        code if code.starts_with("08") || code == "57P02" => Error::Unheard(message),
        // The server goes down or comes up, and says so of a session that is at its end.
        code if code.starts_with("57P") => Error::Unavailable(message),
        code if code.starts_with("22") => Error::Invalid(message),
        _ => Error::Engine(message),
    }
}

/// By SQLite's primary result codes, which are the low byte of the extended ones.
fn of_sqlite(code: i32, message: String) -> Error {
    let message = format!("{message} ({code})");
    match code & 0xff {
        // SQLITE_CONSTRAINT_COMMITHOOK: the adapter lets nothing be committed any more.
        _ if code == 531 => {
            Error::OutOfUse(format!("the disk has failed, as the server's log says: see to it ({message})"))
        }
        13 => Error::Full(message),
        11 | 26 => Error::corrupt("SQLite's file", message),
        18 => Error::Invalid(message),
        // The disk does not answer. A commit whose sync has failed is undone here; but it is in the write-ahead log, where
        // whoever opens the file next may find it whole, unless another one has taken its place by then.
        10 => Error::Unheard(message),
        // Busy, locked, out of memory, interrupted, the file can't be opened, its locks fail.
        5 | 6 | 7 | 9 | 14 | 15 => Error::Unavailable(message),
        _ => Error::Engine(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of one statement.
    fn of_postgres(code: &str, message: String) -> Error {
        super::of_postgres(PgSeverity::Error, code, message)
    }

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        assert!(matches!(of_postgres("53100", String::new()), Error::Full(_)));
        assert!(matches!(of_sqlite(13, String::new()), Error::Full(_)));
    }

    #[test]
    fn what_is_not_unique_is_named_in_any_language() {
        let told = |table, detail| duplicate(Some(table), Some(detail));
        let duplicate = |columns: &[&str], value: &str| Error::Duplicate {
            table: "rm_tickets".into(),
            columns: columns.iter().map(ToString::to_string).collect(),
            value: value.into(),
        };
        let english = r#"Key (_tenant, "seatNumber")=(default, a)=(b, c) already exists."#;
        assert_eq!(told("rm_tickets", english), Some(duplicate(&["seatNumber"], "a)=(b, c")));
        let german = "Schlüssel »(_tenant, label, number)=(default, x, 1)« existiert bereits.";
        assert_eq!(told("rm_tickets", german), Some(duplicate(&["label", "number"], "x, 1")));
        assert_eq!(told("claims", english), None);
        assert_eq!(told("rm_tickets", "something else"), None);
    }

    #[test]
    fn both_ways_to_sqlite_say_the_same() {
        let failure = |code| Error::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
        assert!(matches!(failure(13), Error::Full(_)));
        assert!(matches!(failure(11), Error::Corrupt { .. }));
        for code in [5, 6, 261] {
            assert!(matches!(failure(code), Error::Unavailable(_)), "{code}");
        }
        // 1034 is SQLITE_IOERR_FSYNC, an extended code of 10.
        assert!(matches!(failure(1_034), Error::Unheard(_)));
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
        // 531, one of 19, is what the adapter refuses a commit with when the disk has failed.
        let failed = of_sqlite(531, String::new());
        assert!(failed.is_general() && !failed.is_transient(), "{failed}");
        assert!(Error::from(sqlx::Error::PoolTimedOut).is_transient());
    }

    #[test]
    fn what_is_at_its_end_is_told_from_what_may_still_be_done() {
        let io = |kind: ErrorKind| Error::from(sqlx::Error::Io(kind.into()));
        for error in [io(ErrorKind::ConnectionReset), io(ErrorKind::UnexpectedEof), of_postgres("08006", String::new())]
        {
            assert!(matches!(error, Error::Unheard(_)) && error.is_transient(), "{error}");
        }
        let refused = io(ErrorKind::ConnectionRefused);
        for error in [refused, Error::from(sqlx::Error::PoolTimedOut), of_postgres("57P01", String::new())] {
            assert!(matches!(error, Error::Unavailable(_)), "{error}");
        }
    }

    #[test]
    fn nobody_says_that_nothing_was_recorded_when_the_server_breaks_off_in_a_commit() {
        for code in ["53100", "58030", "XX000"] {
            let error = super::of_postgres(PgSeverity::Panic, code, String::new());
            assert!(matches!(error, Error::Unheard(_)), "{error}");
        }
        for error in [of_postgres("57P02", String::new()), of_sqlite(1_034, String::new())] {
            assert!(matches!(error, Error::Unheard(_)), "{error}");
        }
        let garbled = Error::from(sqlx::Error::Protocol("unexpected message".into()));
        assert!(matches!(garbled, Error::Unheard(_)), "{garbled}");
    }

    #[test]
    fn damage_and_mistakes_are_not_transient() {
        assert!(matches!(of_sqlite(26, String::new()), Error::Corrupt { .. }));
        assert!(matches!(of_postgres("XX001", String::new()), Error::Corrupt { .. }));
        assert!(matches!(of_postgres("22003", String::new()), Error::Invalid(_)));
        assert!(matches!(of_postgres("42P01", String::new()), Error::Engine(_)));
    }
}
