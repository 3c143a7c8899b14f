use super::*;

const DOCUMENTS: [&str; 5] = [
    "The café 東京 naïve Straße — \u{1f600} naïve\r\tend\u{0}.\n\n  Indented   words\n",
    "",
    "<|endoftext|> is only letters here, and so is <unk>",
    "Ελληνικά русский עברית हिन्दी 한국어",
    "the theory there then the them\n",
];

fn documents() -> Vec<String> {
    DOCUMENTS.map(str::to_owned).to_vec()
}

fn kinds() -> [TokenizerKind; 4] {
    ["byte", "char", "word", "bpe:300"].map(|name| name.parse().unwrap())
}

#[test]
fn every_text_survives_the_round_trip() {
    let documents = documents();
    for kind in kinds() {
        let tokenizer = Tokenizer::train(&kind, &documents).unwrap();
        for document in &documents {
            let tokens = tokenizer.encode(document).unwrap();
            assert!(tokens.iter().all(|&token| (token as usize) < tokenizer.vocab_size()));
            assert!(!tokens.contains(&tokenizer.end_token()), "{kind}");
            if kind == TokenizerKind::Word {
                let again = tokenizer.encode(&tokenizer.decode(&tokens)).unwrap();
                assert_eq!(again, tokens);
            } else {
                assert_eq!(&tokenizer.decode(&tokens), document, "{kind}");
            }
        }
        assert_eq!(tokenizer.token_text(tokenizer.end_token()), END, "{kind}");
        assert_eq!(tokenizer.token_id(END), Some(tokenizer.end_token()), "{kind}");
        assert_eq!(tokenizer.decode(&[tokenizer.end_token()]), "");
    }
}

#[test]
fn words_join_with_spaces_except_at_line_breaks() {
    let documents = ["a  b\n\n c\td\n".to_owned()];
    let tokenizer = Tokenizer::train(&TokenizerKind::Word, &documents).unwrap();
    let tokens = tokenizer.encode(&documents[0]).unwrap();
    assert_eq!(tokenizer.decode(&tokens), "a b\n\nc d\n");
    // The line break is the most frequent word, then the others by spelling.
    assert_eq!(tokens, [3, 4, 2, 2, 5, 6, 2]);
}

#[test]
fn what_was_not_in_the_corpus_is_unknown() {
    let documents = ["ab a".to_owned()];
    for kind in [TokenizerKind::Char, TokenizerKind::Word] {
        let tokenizer = Tokenizer::train(&kind, &documents).unwrap();
        let unknown = tokenizer.unknown_token().unwrap();
        assert_eq!(tokenizer.encode("z").unwrap(), [unknown]);
        assert_eq!(tokenizer.decode(&[unknown]), "<unk>");
        assert_eq!(tokenizer.token_text(99), "\u{fffd}");
    }
    let closed = Tokenizer::from_words(["a", "b"]).unwrap();
    assert_eq!(closed.encode("b a").unwrap(), [2, 1]);
    let error = closed.encode("a c").unwrap_err().to_string();
    assert!(error.contains("\"c\" is not one of the 3 tokens"), "{error}");
    assert!(Tokenizer::from_words(["a", "a"]).is_err());
}

#[test]
fn files_bring_back_the_same_tokenizer() {
    let documents = documents();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    for kind in kinds() {
        let tokenizer = Tokenizer::train(&kind, &documents).unwrap();
        tokenizer.save(&path).unwrap();
        let loaded = Tokenizer::train(&TokenizerKind::File(path.clone()), &[]).unwrap();
        assert_eq!(loaded.vocab_size(), tokenizer.vocab_size());
        assert_eq!(loaded.end_token(), tokenizer.end_token());
        for document in &documents {
            let tokens = tokenizer.encode(document).unwrap();
            assert_eq!(loaded.encode(document).unwrap(), tokens);
            assert_eq!(loaded.decode(&tokens), tokenizer.decode(&tokens));
        }
        assert_eq!(loaded.to_json(), tokenizer.to_json());
    }
}

#[test]
fn bpe_has_the_asked_size_and_repeats() {
    let documents = vec!["the cat sat on the mat and the rat sat on the cat ".repeat(20)];
    let kind = TokenizerKind::Bpe { vocab: 270 };
    let train = || Tokenizer::train(&kind, &documents).unwrap();
    let tokenizer = train();
    assert_eq!(tokenizer.vocab_size(), 270);
    assert_eq!(tokenizer.end_token(), 0);
    assert_eq!(tokenizer.to_json(), train().to_json());
    assert!(tokenizer.encode(" the cat").unwrap().len() < 6);
    // All 256 bytes are there: text that was never seen is still expressible.
    let other = "Ünseen 文字";
    assert_eq!(tokenizer.decode(&tokenizer.encode(other).unwrap()), other);
}

#[test]
fn a_foreign_tokenizer_keeps_or_gains_an_end_token() {
    let word_level = |vocab: &str| {
        format!(
            r#"{{"version":"1.0","added_tokens":[],"model":{{"type":"WordLevel",
            "vocab":{{{vocab}}},"unk_token":"<unk>"}},"pre_tokenizer":{{"type":"Whitespace"}}}}"#
        )
    };
    let own = Tokenizer::parse(&word_level(r#""<unk>":0,"</s>":1,"hi":2"#)).unwrap();
    assert_eq!((own.end_token(), own.vocab_size()), (1, 3));
    assert_eq!(own.encode("hi you").unwrap(), [2, 0]);
    let gained = Tokenizer::parse(&word_level(r#""<unk>":0,"hi":1"#)).unwrap();
    assert_eq!((gained.end_token(), gained.vocab_size()), (2, 3));
}

#[test]
fn bad_files_and_sizes_are_refused() {
    let refusal = |text: &str| Tokenizer::parse(text).unwrap_err();
    assert!(refusal("{").contains("not JSON"));
    assert!(refusal(r#"{"fortifai_tokenizer":"rune"}"#).contains("\"rune\""));
    assert!(refusal(r#"{"fortifai_tokenizer":"word","tokens":["a"]}"#).contains(END));
    assert!(refusal(r#"{"model":{"dropout":0.1}}"#).contains("dropout"));
    assert!(!refusal(r#"{"a":1}"#).is_empty());
    let small = Tokenizer::train(&TokenizerKind::Bpe { vocab: 256 }, &documents()).unwrap_err();
    assert!(small.to_string().contains("257"), "{small}");
    for kind in &kinds()[1..] {
        let error = Tokenizer::train(kind, &[String::new()]).unwrap_err().to_string();
        assert!(error.contains("holds no text"), "{error}");
    }
}
