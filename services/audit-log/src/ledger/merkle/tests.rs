use std::collections::BTreeMap;

use super::*;

/// Leaves of the reference tests of certificate-transparency (`cpp/merkletree/merkle_tree_test.cc`).
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// Roots of the trees of the first 1 to 8 of them.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

struct Tree {
    nodes: BTreeMap<NodeId, TreeHash>,
    heads: Vec<(u64, TreeHash)>,
}

impl Tree {
    fn of(leaves: &[Vec<u8>]) -> Self {
        let mut frontier = Frontier::default();
        let mut tree = Self {
            nodes: BTreeMap::new(),
            heads: vec![(0, frontier.root())],
        };
        for leaf in leaves {
            frontier.push(TreeHash::of_leaf(leaf), |node, hash| {
                assert!(tree.nodes.insert(node, hash).is_none());
            });
            tree.heads.push((frontier.size(), frontier.root()));
        }
        tree
    }

    fn hash(&self, range: Range<u64>) -> TreeHash {
        let hashes: Vec<_> = nodes_of(range).iter().map(|node| self.nodes[node]).collect();
        fold(&hashes).unwrap()
    }

    fn proof(&self, ranges: Vec<Range<u64>>) -> Vec<TreeHash> {
        ranges.into_iter().map(|range| self.hash(range)).collect()
    }
}

fn numbers(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|n| n.to_be_bytes().to_vec()).collect()
}

fn changed(hash: TreeHash) -> TreeHash {
    let mut bytes = *hash.as_bytes();
    bytes[0] ^= 1;
    TreeHash::from_bytes(bytes)
}

#[test]
fn roots_and_proof_are_those_of_certificate_transparency() {
    let leaves: Vec<Vec<u8>> = LEAVES.iter().map(|leaf| hex::decode(leaf).unwrap()).collect();
    let tree = Tree::of(&leaves);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(tree.heads[0].1.to_string(), empty);
    for (head, root) in tree.heads[1..].iter().zip(ROOTS) {
        assert_eq!(head.1.to_string(), root);
    }
    let proof: Vec<String> = tree
        .proof(inclusion_ranges(0, 8))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        proof,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
}

#[test]
fn a_frontier_is_the_nodes_of_the_whole() {
    let tree = Tree::of(&numbers(70));
    let mut frontier = Frontier::default();
    for (size, root) in &tree.heads[..70] {
        let peaks = nodes_of(0..*size).iter().map(|node| tree.nodes[node]).collect();
        assert_eq!(frontier, Frontier::new(*size, peaks));
        assert_eq!(frontier.root(), *root);
        frontier.push(
            tree.nodes[&NodeId {
                level: 0,
                position: *size,
            }],
            |_, _| {},
        );
    }
}

#[test]
fn every_leaf_of_every_tree_to_70_is_proved_and_nothing_else() {
    let tree = Tree::of(&numbers(70));
    for head in &tree.heads {
        for index in 0..head.0 {
            let leaf = tree.nodes[&NodeId {
                level: 0,
                position: index,
            }];
            let proof = tree.proof(inclusion_ranges(index, head.0));
            assert!(
                verify_inclusion(leaf, index, *head, &proof),
                "{index} of {}",
                head.0
            );
            assert!(!verify_inclusion(changed(leaf), index, *head, &proof));
            assert!(!verify_inclusion(leaf, index, (head.0, changed(head.1)), &proof));
            assert!(!verify_inclusion(leaf, head.0, *head, &proof));
            for other in (0..head.0).filter(|other| *other != index) {
                assert!(
                    !verify_inclusion(leaf, other, *head, &proof),
                    "{index} as {other} of {}",
                    head.0
                );
            }
            for at in 0..proof.len() {
                let mut bad = proof.clone();
                bad[at] = changed(bad[at]);
                assert!(!verify_inclusion(leaf, index, *head, &bad));
            }
            let longer = [proof.as_slice(), &[leaf]].concat();
            assert!(!verify_inclusion(leaf, index, *head, &longer));
            assert!(proof.is_empty() || !verify_inclusion(leaf, index, *head, &proof[1..]));
        }
    }
}

#[test]
fn every_tree_to_70_continues_every_smaller_one_and_no_other() {
    let tree = Tree::of(&numbers(70));
    for new in &tree.heads {
        for old in &tree.heads[..=usize::try_from(new.0).unwrap()] {
            let proof = tree.proof(consistency_ranges(old.0, new.0));
            assert!(verify_consistency(*old, *new, &proof), "{} to {}", old.0, new.0);
            assert!(!verify_consistency((old.0, changed(old.1)), *new, &proof));
            assert!(old.0 == 0 || !verify_consistency(*old, (new.0, changed(new.1)), &proof));
            for at in 0..proof.len() {
                let mut bad = proof.clone();
                bad[at] = changed(bad[at]);
                assert!(!verify_consistency(*old, *new, &bad), "{} to {}", old.0, new.0);
            }
            let longer = [proof.as_slice(), &[old.1]].concat();
            assert!(!verify_consistency(*old, *new, &longer));
            assert!(proof.is_empty() || !verify_consistency(*old, *new, &proof[1..]));
            assert!(old.0 == new.0 || old.0 == 0 || !verify_consistency(*new, *old, &proof));
        }
    }
}
