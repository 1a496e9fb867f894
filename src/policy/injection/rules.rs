//! What injected SQL and script look like, as regular expressions over folded values (lower case, single spaces).
//!
//! Each names a construction that prose and data hardly have: a keyword alone is never enough ("select a union member"),
//! nor a quote alone (O'Brien).
//!
//! **Those with a gap of any length stand apart from the others.** Each such gap is open or not at every place of a value,
//! independently of the others, so an automaton of `n` of them has up to 2^n times the states; together with all others
//! somebody could write a body that needs new states at every byte. As they stand, all states of each list fit its
//! automaton's cache, so a byte costs the same whatever came before it; a test walks through what it can of them.

pub(super) const SQL: &[&str] = &[
    // UNION SELECT with a literal, a call or a list behind it.
    r#"\bunion[ (]+(?:(?:all|distinct)[ (]+)?select(?:[ (]*['"`0-9@*~+-]|[ (]+(?:null\b|[a-z_.]+\(|[a-z_.]+,[^ ]))"#,
    // A quote, a connective and a comparison: ' or 'a'='a, ') and name like 'x, '||1=1.
    r#"['"`][ )]*(?:or|and|xor|div|\|\||&&)[ (]*(?:not )?[ (!~+-]*['"`]?[a-z0-9_.@]*['"`]?[ )]*(?:[=<>]|!=| ?r?like ?['"(0-9]| ?regexp ?['"(]| between ?['"(0-9]| is (?:not )?null| in ?\()"#,
    // The same without a quote before it, of two numbers or two texts.
    r#"\b(?:or|and|xor|having|where)[ (]+(?:not )?[ (!~+-]*(?:[0-9]+|'[^' ]*'|"[^" ]*")[ )]*(?:[=<>]+|!=| r?like ) ?[ (!~+-]*(?:['"]|[0-9]|true|false)"#,
    // ' or 1 --, " or true#
    r#"['"`][ )]*(?:or|and|\|\||&&)[ (]*(?:not )?(?:true|false|[0-9]+)[ )]*(?:--|#|;|/\*|$)"#,
    r"\b(?:or|and) (?:true|false|[0-9]+)[ )]*(?:--|#)(?:[ +-]|$)",
    // A quote, then a comment to the end of the statement: admin'--
    r#"'[ );]*(?:--|#)(?:[ +"'&}-]|$)"#,
    r#""[ );]*(?:--|#)[ +-]*$"#,
    r#"['"][ )]*/\*"#,
    // A second statement.
    r#"[;'")] ?(?:drop|alter|create|truncate|rename) (?:table|database|schema|user|view|index|procedure|function|trigger|login|column|role)\b"#,
    r#"[;'")] ?(?:insert into |replace into |delete from |merge into |shutdown ?(?:;|--|with|$)|declare @|exec(?:ute)?[ (]+(?:master|sp_|xp_|@|immediate|')|waitfor (?:delay|time)|copy [a-z_]+ (?:from|to) )"#,
    r#"[;'")] ?select (?:[*@0-9'"]|[a-z_]+\()"#,
    r"\bupdate [a-z0-9_.`\[\]]+ set [a-z0-9_.`\[\]]+ ?=",
    r"\binsert into [a-z0-9_.`\[\]]+ ?(?:values ?\(|select |\([a-z0-9_.`, \[\]]*\) ?(?:values|select))",
    r"\bdelete from [a-z0-9_.`\[\]]+ where [a-z0-9_.`\[\]]+ ?(?:[=<>]|like|in ?\()",
    // A query of its own, or one within another.
    r"\bselect [a-z0-9_.`]+ from [a-z0-9_.`]+ ?(?:where [a-z0-9_.`]+ ?(?:[=<>]|like |in ?\()|limit [0-9]|order by |group by |--|;)",
    r"\( ?select (?:[*@0-9'(]|[a-z_.]+ ?\(|[a-z0-9_.`]+(?: ?,| from ))",
    r#"['"] ?(?:\|\||\+|,) ?\( ?select "#,
    // Looking for the number of columns.
    r#"['"0-9)] ?(?:order|group) by [0-9]+ ?(?:--|#|,|;|/\*|$)"#,
    r#"['"0-9)] having (?:[0-9]+|'[^']*') ?[=<>]"#,
    // Waiting, reading files, errors that tell something.
    r"\b(?:pg_sleep ?\(|waitfor delay ?['(]|dbms_(?:pipe|lock|ldap|xslprocessor)\.|utl_(?:http|inaddr|file|smtp)\.|load_file ?\(|into (?:out|dump)file\b|lo_import ?\(|xp_(?:cmdshell|dirtree|regread|fileexist)|sp_(?:executesql|oacreate)\b|opendatasource ?\(|openrowset ?\()",
    r"\b(?:extractvalue|updatexml) ?\( ?(?:[0-9]|rand|null|'|concat|\()",
    r"\bbenchmark ?\( ?[0-9]+ ?,",
    r#"(?:['"),;=|&+-]|\b(?:and|or|xor|select|if|then|when)) ?[ (]*(?:sleep|benchmark|randomblob|generate_series) ?\( ?[0-9]"#,
    r"\b(?:and|or|xor|select|where|if|when|not)[ (]+(?:ascii|ord|substr|substring|mid|elt|make_set|char_length|length|exists|count|cast|convert|hex|unhex|concat|concat_ws|group_concat|ifnull|nullif|iif|row) ?\( ?(?:select|substr|substring|mid|user|system_user|current_user|database|schema|version|password|table_name|char|0x|'|@@|\()",
    r"\bselect ?\(?(?:version|user|database|schema|current_user|system_user|session_user|sleep|char|chr|load_file|group_concat|concat|concat_ws|current_database|current_setting) ?\(",
    r"(?:\b(?:and|or)|,|=|\() ?(?:not )?(?:version|database|schema|current_user|system_user|session_user) ?\( ?\) ?(?:[=<>]|like|,|\))",
    r#"\bcase when [ (]*[a-z0-9_.'"(]+[ )]*(?:[=<>]|like )"#,
    r"\b(?:information_schema|pg_catalog|performance_schema)\.[a-z]",
    r"\b(?:sqlite_master|pg_shadow|mysql\.user|sys\.(?:tables|objects|databases|columns)|sysobjects|syscolumns|all_tables|user_tables|dba_users)(?:[ ;,)'-]|$)",
    r"@@(?:version|servername|hostname|datadir|basedir|global|language)\b",
    r"\bchar ?\( ?(?:0x)?[0-9]+ ?(?:,|\) ?(?:\+|\|\|))",
    r"\bprocedure analyse ?\(",
    r"/\*![0-9]* ?(?:union|select|or|and)\b",
];

pub(super) const SQL_WITH_GAPS: &[&str] = &[
    r"\bunion[ (]+(?:(?:all|distinct)[ (]+)?select\b[^;]* from [a-z`\[(]",
    r"\bselect (?:\*|[a-z_.]*\(|top [0-9(]|distinct [a-z_]|[a-z0-9_.`@]+ ?,)[^;]* from [a-z`\[(]",
];

pub(super) const XSS: &[&str] = &[
    r"<[ /]*script\b",
    r"<(?:iframe|frameset|portal|applet|xss|isindex|bgsound|marquee)[ />]",
    // A handler that breaks out of an attribute.
    r#"["'`][ />]*on(?:error|load|click|dblclick|mouse[a-z]+|pointer[a-z]+|key[a-z]+|focus[a-z]*|blur|submit|change|input|toggle|begin|end|repeat|animation[a-z]+|transition[a-z]+|wheel|scroll[a-z]*|drag[a-z]*|drop|copy|cut|paste|select[a-z]*|resize|unload|beforeunload|hashchange|pageshow|message|contextmenu|touch[a-z]+|play[a-z]*|canplay[a-z]*|loadeddata|loadstart|auxclick|beforeinput|invalid|reset|search|show) ?="#,
    // A URL that is script, its letters drawn apart or not.
    r"j ?a ?v ?a ?s ?c ?r ?i ?p ?t ?: ?(?:[a-z_$.\[\]]+ ?[(=`\[]|[/%\\\[({'`!+~-]|void\b|eval\b)",
    r#"[=(] ?["'`]? ?(?:j ?a ?v ?a|v ?b|l ?i ?v ?e) ?s ?c ?r ?i ?p ?t ?:"#,
    r"\bvbscript ?: ?[a-z]+ ?[(\x22]",
    r"\bdata ?: ?(?:text/html|text/xml|application/xhtml[+ ]xml|application/xml|image/svg[+ ]xml)",
    r#"\bstyle ?= ?["']? ?(?:[a-z-]+ ?: ?)?(?:expression ?\(|behaviou?r ?:|-moz-binding|@import)"#,
    r"\b[a-z-]+ ?: ?expression ?\(",
    // Script that reads or leaves the page.
    r"\bdocument ?(?:\.|\[ ?['\x22`])(?:cookie|write|writeln|domain|location|documentelement|body\.)",
    r"\b(?:window|self|top|parent|globalthis|this) ?(?:\.|\[ ?['\x22`])(?:location|alert|eval|open\b|document|localstorage|atob)",
    r"\b(?:eval|settimeout|setinterval|function|execscript) ?\( ?(?:atob|string\.|unescape|decodeuri|location|name\b|window|self|['\x22`](?:alert|eval|document|window))",
    r"\bstring\.fromcharcode\b",
    r"\.(?:innerhtml|outerhtml) ?=",
    r"\blocalstorage\.(?:get|set)item ?\(",
    r#"(?:^|["'`;)}>=]) ?[;*/+-]* ?(?:alert|confirm|prompt|eval|print)[(`]"#,
    r"\{\{ ?(?:[a-z0-9_$.'\[\]]*constructor|\$eval|\$on|alert ?\(|process\.|[0-9]+ ?\* ?[0-9])",
    r"\$\{ ?(?:alert|confirm|prompt|eval|document|window|[a-z.]*constructor)",
    r"\bconstructor ?(?:\.|\[ ?['\x22`]) ?constructor\b",
    r"\bimport ?\( ?['\x22`](?:https?:|//|data:)",
];

pub(super) const XSS_WITH_GAPS: &[&str] = &[
    r#"<[a-z!?/][^>]*(?:[ /"'`]on[a-z]+ ?=|\bsrcdoc ?=|[ /"']attributename ?=)"#,
    r"<(?:object|embed|base|meta|form|button|input|math|use|frame)[ /][^>]*(?:src|href|data|action|code|codebase|http-equiv) ?=",
    r#"<link[ /][^>]*rel ?= ?["']?(?:stylesheet|import|preload|manifest)"#,
];
