use proptest::prelude::*;

use super::*;
use crate::http1::{HeadScanner, Limits, Scan};

const LIMIT: usize = 8;

/// Name and value of each line.
type Lines = Vec<(Vec<u8>, Vec<u8>)>;

fn lines(head: &[u8], at: usize) -> Result<Lines, HeadError> {
    let mut headers = Headers::default();
    header_lines(head, at, &mut headers, LIMIT)?;
    let line = |line: &super::super::Line| (line.name.of(head).to_vec(), line.value.of(head).to_vec());
    Ok(headers.iter().map(line).collect())
}

fn read_request(head: &[u8]) -> Result<(Vec<u8>, Vec<u8>, Version, Lines), HeadError> {
    let line = request_line(head)?;
    let lines = lines(head, line.end)?;
    let target = line.target.of(head);
    let mark = target.iter().position(|&byte| byte == b'?');
    assert_eq!(
        line.path_end - line.target.start,
        mark.unwrap_or(target.len()) as u32
    );
    let strange = |byte: &u8| matches!(byte, b'#' | b'\\' | 0x80..);
    assert_eq!(line.odd, target.iter().any(strange));
    Ok((
        line.method.of(head).to_vec(),
        target.to_vec(),
        line.version,
        lines,
    ))
}

fn read_response(head: &[u8]) -> Result<(Version, u16, Lines), HeadError> {
    let line = status_line(head)?;
    Ok((line.version, line.status, lines(head, line.end)?))
}

/// As `httparse` reads it, with the errors that are ours.
fn request_of_oracle(head: &[u8]) -> Result<(Vec<u8>, Vec<u8>, Version, Lines), HeadError> {
    let mut storage = [httparse::EMPTY_HEADER; LIMIT];
    let mut parsed = httparse::Request::new(&mut storage);
    match parsed.parse(head) {
        Ok(status) => assert_eq!(status, httparse::Status::Complete(head.len())),
        Err(httparse::Error::Version) => return Err(unknown_version(head)),
        Err(error) => return Err(error_of_oracle(error)),
    }
    Ok((
        parsed.method.unwrap().into(),
        parsed.path.unwrap().into(),
        version_of_oracle(parsed.version),
        lines_of_oracle(parsed.headers),
    ))
}

fn response_of_oracle(head: &[u8]) -> Result<(Version, u16, Lines), HeadError> {
    let mut storage = [httparse::EMPTY_HEADER; LIMIT];
    let mut parsed = httparse::Response::new(&mut storage);
    let status = parsed.parse(head).map_err(error_of_oracle)?;
    assert_eq!(status, httparse::Status::Complete(head.len()));
    Ok((
        version_of_oracle(parsed.version),
        parsed.code.unwrap(),
        lines_of_oracle(parsed.headers),
    ))
}

fn lines_of_oracle(headers: &[httparse::Header<'_>]) -> Lines {
    let line = |header: &httparse::Header<'_>| (header.name.into(), header.value.into());
    headers.iter().map(line).collect()
}

fn version_of_oracle(minor: Option<u8>) -> Version {
    match minor {
        Some(0) => Version::Http10,
        _ => Version::Http11,
    }
}

fn error_of_oracle(error: httparse::Error) -> HeadError {
    HeadError::malformed(match error {
        httparse::Error::TooManyHeaders => {
            return HeadError::new(HeadErrorKind::TooLarge, "too many header lines");
        }
        httparse::Error::HeaderName => "malformed header name",
        httparse::Error::HeaderValue => "malformed header value",
        httparse::Error::Status => "malformed status line",
        httparse::Error::Version => "malformed version",
        httparse::Error::NewLine => "malformed line end",
        httparse::Error::Token => "malformed request line",
    })
}

/// Compares what both say of the head in `bytes`, if there is one: bare CR, LF and NUL never come this far.
fn compare(bytes: &[u8]) {
    if let Scan::Complete { start, end } = HeadScanner::default().scan(bytes, &Limits::default()) {
        let head = &bytes[start..end];
        assert_eq!(
            read_request(head),
            request_of_oracle(head),
            "{}",
            head.escape_ascii()
        );
    }
    if let Scan::Complete { start, end } = HeadScanner::response().scan(bytes, &Limits::default()) {
        let head = &bytes[start..end];
        assert_eq!(
            read_response(head),
            response_of_oracle(head),
            "{}",
            head.escape_ascii()
        );
    }
}

const REQUEST: &[u8] =
    b"POST /some/path?with=query HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For:10.0.0.1 , b\t\r\n\
    Accept-Encoding-And-More: gzip;q=0.5, caf\xc3\xa9\r\nEmpty:\r\nBlank: \t\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.0 404 Not really f\xf6und\r\nContent-Type: text/plain\r\nEmpty:\r\n\
    x_0: a long value of more than sixteen bytes\r\n\r\n";

#[test]
fn any_byte_anywhere_is_read_as_httparse_reads_it() {
    for proper in [REQUEST, RESPONSE] {
        compare(proper);
        for at in 0..proper.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = proper.to_vec();
                bytes[at] = byte;
                compare(&bytes);
                bytes.insert(at, proper[at]);
                compare(&bytes);
            }
            let mut bytes = proper.to_vec();
            bytes.remove(at);
            compare(&bytes);
        }
    }
    assert!(read_request(REQUEST).is_ok() && read_response(RESPONSE).is_ok());
}

#[test]
fn a_cut_head_is_refused() {
    for end in 0..REQUEST.len() {
        assert!(read_request(&REQUEST[..end]).is_err());
    }
    for end in 0..RESPONSE.len() {
        assert!(read_response(&RESPONSE[..end]).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn heads_are_read_as_httparse_reads_them(
        start in "(GET|P[OU]ST|[A-Z(é]{0,9}) {1,2}[/*a-z?#\\\\é]{0,20}(\t| ){0,2}(HTTP/1\\.[01]|HTTP/[0-9]\\.[0-9]|[HTP/.1 ]{0,9})[ \t]{0,1}\
            |HTTP/1\\.[0-2] ?[0-9a]{2,4}[ \t]?[ -~\t\u{1}é]{0,20}",
        lines in prop::collection::vec("([A-Za-z-]{0,20}|[!-~é \t]{0,12})[:\t ]{0,3}[ -~\t\u{1}\u{7f}é]{0,30}[\t ]{0,2}", 0..10),
    ) {
        compare(format!("{start}\r\n{}\r\n\r\n", lines.join("\r\n")).as_bytes());
        compare(format!("{start}\r\n\r\n").as_bytes());
    }

    #[test]
    fn two_bytes_that_changed_are_read_as_httparse_reads_them(
        request: bool,
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 2..4),
    ) {
        let mut bytes = if request { REQUEST } else { RESPONSE }.to_vec();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        compare(&bytes);
    }
}
