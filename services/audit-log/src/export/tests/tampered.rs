//! What is done to an export, and what the check says to it. Each vector is a way in which whoever passes an
//! export on could change it.

use super::*;

/// The export with one file changed, and changed back.
fn with(exported: &Exported, path: &str, bytes: Option<&[u8]>) -> Vec<String> {
    let path = exported.dir().join(path);
    let before = fs::read(&path).ok();
    match bytes {
        Some(bytes) => {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        None => fs::remove_file(&path).unwrap(),
    }
    let faults = exported.faults();
    match before {
        Some(before) => fs::write(&path, before).unwrap(),
        None => fs::remove_file(&path).unwrap(),
    }
    faults
}

#[test]
fn one_flipped_bit_anywhere_in_any_file_is_seen() {
    for chosen in [None, Some([0, 3, 5].as_slice())] {
        let exported = export(7, chosen);
        assert_eq!(exported.faults(), [""; 0]);
        for (path, bytes) in exported.files() {
            let name = path.to_str().unwrap();
            // Every byte of the short files; of the long ones some, among them the first and the last.
            let step = (bytes.len() / 40).max(1);
            let places = (0..bytes.len()).step_by(step).chain([bytes.len() - 1]);
            for place in places {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << (place % 8);
                let faults = with(&exported, name, Some(&changed));
                assert!(!faults.is_empty(), "{name} byte {place}: nothing is seen");
            }
        }
        assert_eq!(exported.faults(), [""; 0]);
    }
}

#[test]
fn the_file_that_was_changed_is_the_one_that_is_named() {
    for chosen in [None, Some([0, 3, 5].as_slice())] {
        let exported = export(7, chosen);
        for (path, bytes) in exported.files() {
            let name = path.to_str().unwrap();
            let mut changed = bytes.clone();
            changed[bytes.len() / 2] ^= 1;
            let faults = with(&exported, name, Some(&changed));
            // Hashes of leaves that are not there are only seen together, in the root; and a payload, key or
            // bundle in another form is no longer what others follow from.
            let named = |fault: &String| {
                fault.starts_with(name) || (chosen.is_some() && fault.starts_with("tiles: "))
            };
            assert!(faults.iter().any(named), "{name}: {faults:?}");
        }
    }
}

#[test]
fn every_file_is_missed_and_none_may_be_added() {
    let exported = export(7, None);
    for path in exported.files().keys() {
        let name = path.to_str().unwrap();
        let faults = with(&exported, name, None);
        assert!(
            faults.iter().any(|fault| fault.starts_with(name)),
            "{name}: {faults:?}"
        );
    }
    for name in [
        "envelopes/7.json",
        "notes.txt",
        "keys/other.pub",
        "tiles/tile/0/000.p/6",
    ] {
        let faults = with(&exported, name, Some(b"x"));
        assert_eq!(faults, [format!("{name}: does not belong to the export")]);
    }
}

/// `entries.ndjson` with its lines changed.
fn lines(exported: &Exported, change: impl FnOnce(&mut Vec<Line>)) -> Vec<u8> {
    let text = fs::read_to_string(exported.dir().join("entries.ndjson")).unwrap();
    let mut lines: Vec<Line> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    change(&mut lines);
    lines.iter().flat_map(layout::line).collect()
}

#[test]
fn a_removed_leaf_is_missed_where_it_stood() {
    let exported = export(7, None);
    let removed = lines(&exported, |lines| drop(lines.remove(3)));
    let faults = with(&exported, "entries.ndjson", Some(&removed));
    assert_eq!(faults[0], "entries.ndjson: there are 6 leaves, not 7");

    // Renumbered, so that nothing seems to be missing in the middle.
    let closed = lines(&exported, |lines| {
        lines.remove(3);
        for line in &mut lines[3..] {
            line.index -= 1;
            line.sequence -= 1;
        }
    });
    let faults = with(&exported, "entries.ndjson", Some(&closed));
    let leaf = "entries.ndjson: leaf 3 is not the leaf that stands there in the tree".to_owned();
    assert!(faults.contains(&leaf), "{faults:?}");

    // With the manifest made to agree.
    let manifest = exported.dir().join("export.json");
    let before = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, before.replace("\"leaves\":7", "\"leaves\":6")).unwrap();
    let faults = with(&exported, "entries.ndjson", Some(&removed));
    assert!(
        faults.contains(&"entries.ndjson: there are 6 leaves, not 7".to_owned()),
        "{faults:?}"
    );
}

#[test]
fn two_swapped_leaves_are_seen() {
    let exported = export(7, None);
    let swapped = lines(&exported, |lines| lines.swap(2, 4));
    let faults = with(&exported, "entries.ndjson", Some(&swapped));
    assert_eq!(
        faults,
        ["entries.ndjson: line 4 is leaf 3, which has no place there"]
    );

    // With the numbers of their places, and their payloads swapped as well.
    let placed = lines(&exported, |lines| {
        lines.swap(2, 4);
        for at in [2_u64, 4] {
            let line = &mut lines[usize::try_from(at).unwrap()];
            (line.index, line.sequence) = (at, at + 1);
        }
    });
    let (two, four) = (
        exported.dir().join("envelopes/2.json"),
        exported.dir().join("envelopes/4.json"),
    );
    let (first, second) = (fs::read(&two).unwrap(), fs::read(&four).unwrap());
    fs::write(&two, second).unwrap();
    fs::write(&four, first).unwrap();
    let faults = with(&exported, "entries.ndjson", Some(&placed));
    for index in [2, 4] {
        let leaf = format!("entries.ndjson: leaf {index} is not the leaf that stands there in the tree");
        assert!(faults.contains(&leaf), "{faults:?}");
    }
    let root = "entries.ndjson: the 7 leaves do not make the root of the checkpoint".to_owned();
    assert!(faults.contains(&root), "{faults:?}");
}

#[test]
fn a_truncated_export_is_seen() {
    let exported = export(7, None);
    let entries = fs::read(exported.dir().join("entries.ndjson")).unwrap();
    let faults = with(&exported, "entries.ndjson", Some(&entries[..entries.len() - 9]));
    assert_eq!(faults, ["entries.ndjson: line 7 is not as an export writes it"]);
    let faults = with(&exported, "entries.ndjson", Some(b""));
    assert!(
        faults.contains(&"entries.ndjson: there are 0 leaves, not 7".to_owned()),
        "{faults:?}"
    );
    for path in exported
        .files()
        .keys()
        .filter(|path| path.starts_with("envelopes"))
    {
        fs::remove_file(exported.dir().join(path)).unwrap();
    }
    let faults = exported.faults();
    assert!(
        faults.contains(&"envelopes/6.json: is missing".to_owned()),
        "{faults:?}"
    );
}

#[test]
fn a_complete_export_does_not_pass_for_a_chosen_part() {
    let exported = export(7, None);
    let manifest =
        b"{\"chosenBy\":\"x\",\"complete\":false,\"format\":\"fluxgate-export/v1\",\"leaves\":7}\n";
    let faults = with(&exported, "export.json", Some(manifest));
    assert!(
        faults.contains(&"README.txt: is not what leaves, keys and checkpoint make".to_owned()),
        "{faults:?}"
    );
}

#[test]
fn a_wrong_key_and_another_origin_are_refused() {
    let exported = export(3, None);
    let faults = |key: NoteKey| {
        let demands = Demands {
            key: key.verifier().clone(),
            ..exported.keys.demands()
        };
        let report = verify(&exported.dir(), &demands).unwrap();
        report.faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let unsigned = "checkpoint: note has no signature by the ledger's key";
    assert_eq!(faults(NoteKey::generate(NAME).unwrap().0), [unsigned]);
    // The same key under another name is another ledger.
    let named = NoteKey::from_pem("ledger.example/other", &exported.keys.note).unwrap();
    assert_eq!(faults(named), [unsigned]);
    // A checkpoint of another ledger in the export.
    let foreign = Head {
        size: 3,
        root: crate::ledger::merkle::TreeHash::empty(),
    };
    let note = foreign.sign(&NoteKey::generate("ledger.example/other").unwrap().0);
    assert_eq!(with(&exported, "checkpoint", Some(note.as_bytes())), [unsigned]);
    // One of this key with the origin of another in its text.
    let text = "ledger.example/other\n3\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let note = exported.keys.note().sign(text);
    let faults = with(&exported, "checkpoint", Some(note.as_bytes()));
    assert_eq!(
        faults,
        ["checkpoint: checkpoint has another origin than the name of the ledger's key"]
    );
}

#[test]
fn a_checkpoint_over_other_leaves_is_refused() {
    let exported = export(3, None);
    let other = Head {
        size: 3,
        root: crate::ledger::merkle::TreeHash::empty(),
    };
    let note = other.sign(&exported.keys.note());
    let faults = with(&exported, "checkpoint", Some(note.as_bytes()));
    assert_eq!(
        faults,
        ["entries.ndjson: the 3 leaves do not make the root of the checkpoint"]
    );
}

#[test]
fn a_ledger_that_was_rewritten_does_not_continue_an_older_checkpoint() {
    let exported = export(7, None);
    let check = |head: Head, key: &NoteKey| {
        let demands = Demands {
            older: vec![(PathBuf::from("/held/old"), head.sign(key))],
            ..exported.keys.demands()
        };
        let report = verify(&exported.dir(), &demands).unwrap();
        let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        (faults, report.continues)
    };
    let (_, contents) = open(&exported.dir(), &exported.keys.demands()).unwrap();
    let contents = contents.unwrap();
    let hashes = (0..4).map(|index| contents.leaf_hash(index).unwrap());
    let honest = Head {
        size: 4,
        root: tree::Tree::of(hashes).root(),
    };
    let key = exported.keys.note();
    assert_eq!(check(honest, &key), (vec![], vec![4]));
    let other = Head { size: 5, ..honest };
    let rewritten =
        "/held/old: the first 5 leaves are not those of this checkpoint: the ledger was rewritten".to_owned();
    assert_eq!(check(other, &key), (vec![rewritten], vec![]));
    let longer = Head { size: 9, ..honest };
    let lost = "/held/old: covers 9 leaves, the export's ledger has 7: leaves were lost".to_owned();
    assert_eq!(check(longer, &key), (vec![lost], vec![]));
    let (foreign, _) = NoteKey::generate(NAME).unwrap();
    let unsigned = "/held/old: note has no signature by the ledger's key".to_owned();
    assert_eq!(check(honest, &foreign), (vec![unsigned], vec![]));
}

#[test]
fn what_a_stranger_signed_is_named_and_is_no_fault() {
    let keys = Keys::new();
    let stranger = Keys::new();
    let (subject, forged) = stranger.decision(1);
    let (moved, _) = keys.decision(2);
    let (_, genuine) = keys.decision(1);
    let mut events = keys.events(2);
    events.extend([(subject, forged), (moved, genuine)]);
    let exported = Exported {
        keys,
        folder: tempfile::tempdir().unwrap(),
    };
    write(&exported.dir(), &exported.keys, &events, None);
    let report = exported.verify();
    assert_eq!(report.faults, []);
    // By another key; and genuine, but made for another subject.
    assert_eq!(
        report.void,
        [
            (1, Void::Name),
            (2, Void::Role(Role::Policy)),
            (3, Void::Role(Role::Policy)),
        ]
    );
}
