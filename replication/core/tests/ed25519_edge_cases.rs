//! Signatures on the edge, judged alike by this implementation and the one in Python: Wycheproof, cases of the same classes
//! that are made here and need no file, and the published collections. Those are files beside the checkout, so their tests
//! are marked as ignored: they are counted as not run, and whoever runs them without the files sees them fail.
//!
//! A signature is valid if S < L, A and R are canonical and not of small order, and the cofactorless equation holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_types)] // A test stops on failure.

mod verifier;

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use linli_core::id::AuthorKey;
use linli_core::sign::{CheckedKey, Signature};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

struct Case {
    name: String,
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
    valid: bool,
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn unhex(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// Checks every case here and in Python; the reasons must be the same too.
fn both_agree(cases: &[Case]) {
    let mut inputs = vec![];
    let mut ours = vec![];
    for case in cases {
        let key = AuthorKey::from_slice(&case.key).unwrap();
        let signature = Signature::from_bytes(case.signature.clone().try_into().unwrap());
        let verify = CheckedKey::new(&key).and_then(|key| key.verify(&case.message, &signature));
        assert_eq!(verify.is_ok(), case.valid, "{}: {verify:?}", case.name);
        let grantable = CheckedKey::for_grant(&key).err().map(|e| e.code());
        ours.push(json!({"verify": verify.err().map(|e| e.code()), "grantable": grantable}));
        let (key, message, signature) = (hex(&case.key), hex(&case.message), hex(&case.signature));
        inputs.push(json!({"key": key, "message": message, "signature": signature}));
    }
    for ((case, ours), theirs) in cases.iter().zip(ours).zip(verifier::judge("signatures", &inputs)) {
        assert_eq!(ours, theirs, "{}", case.name);
    }
}

/// A published collection beside the checkout.
fn published(name: &str) -> Vec<Value> {
    let path = verifier::repository().parent().unwrap().join("shared/vectors").join(name);
    // Or one level higher, where several checkouts share a folder.
    let above = verifier::repository().join("../../shared/vectors").join(name);
    let text = [&path, &above].iter().find_map(|path| std::fs::read(path).ok());
    let text = text.unwrap_or_else(|| panic!("{} is not there", path.display()));
    serde_json::from_slice(&text).unwrap()
}

#[test]
#[ignore = "needs the published collection beside the checkout"]
fn agrees_with_the_cctv_collection() {
    let published = published("cctv-ed25519.json");
    // A component of low order does no harm to the cofactorless equation; every other flag names what we refuse.
    let harmless = ["low_order_component_A", "low_order_component_R"];
    let cases: Vec<Case> = published
        .iter()
        .map(|case| Case {
            name: format!("cctv {}", case["number"]),
            key: unhex(&case["key"]),
            message: case["msg"].as_str().unwrap().as_bytes().to_vec(),
            signature: unhex(&case["sig"]),
            valid: case["flags"].as_array().is_none_or(|f| f.iter().all(|f| harmless.contains(&f.as_str().unwrap()))),
        })
        .collect();
    assert_eq!(cases.len(), 914);
    both_agree(&cases);
}

#[test]
#[ignore = "needs the published collection beside the checkout"]
fn agrees_with_the_speccheck_collection() {
    let published = published("speccheck-cases.json");
    // Case 3 is the one of mixed order that satisfies the cofactorless equation.
    let cases: Vec<Case> = published
        .iter()
        .enumerate()
        .map(|(n, case)| Case {
            name: format!("speccheck {n}"),
            key: unhex(&case["pub_key"]),
            message: unhex(&case["message"]),
            signature: unhex(&case["signature"]),
            valid: n == 3,
        })
        .collect();
    assert_eq!(cases.len(), 12);
    both_agree(&cases);
}

#[test]
fn agrees_with_wycheproof() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut cases = vec![];
    for group in &set.test_groups {
        for test in group.tests.iter().filter(|t| t.sig.len() == 64) {
            cases.push(Case {
                name: format!("wycheproof {}: {}", test.tc_id, test.comment),
                key: group.key.pk.to_vec(),
                message: test.msg.to_vec(),
                signature: test.sig.to_vec(),
                valid: test.result == wycheproof::TestResult::Valid,
            });
        }
    }
    assert!(cases.len() > 100);
    both_agree(&cases);
}

fn hash(r: &[u8], a: &[u8], message: &[u8]) -> Scalar {
    let digest = Sha512::new().chain_update(r).chain_update(a).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&digest.into())
}

fn signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    [r, s].concat()
}

/// Signs with a key a·B + T and a nonce r·B + U: of mixed order where T or U is not the identity.
fn mixed(a: Scalar, torsion_of_key: EdwardsPoint, torsion_of_nonce: EdwardsPoint, message: &[u8]) -> Case {
    let r = Scalar::from(0x1234_5678_9abc_u64) * a;
    let key = (ED25519_BASEPOINT_POINT * a + torsion_of_key).compress();
    let nonce = (ED25519_BASEPOINT_POINT * r + torsion_of_nonce).compress();
    let k = hash(nonce.as_bytes(), key.as_bytes(), message);
    let residue = torsion_of_key * k + torsion_of_nonce;
    let small = a == Scalar::ZERO;
    Case {
        name: format!("mixed order, message {}", hex(message)),
        key: key.as_bytes().to_vec(),
        message: message.to_vec(),
        signature: signature(nonce.as_bytes(), (r + k * a).as_bytes()),
        valid: residue.is_identity() && !small,
    }
}

#[test]
fn torsion_counts_by_the_cofactorless_equation_and_small_order_never() {
    let mut cases = vec![];
    for scalar in [Scalar::from(7u64), Scalar::from(u64::MAX) * Scalar::from(u64::MAX), Scalar::ZERO] {
        for t in EIGHT_TORSION {
            for u in EIGHT_TORSION {
                cases.extend((0..3u8).map(|m| mixed(scalar, t, u, &[m])));
            }
        }
    }
    let valid = cases.iter().filter(|c| c.valid).count();
    assert!(valid > 20 && valid < cases.len() / 3, "{valid} of {}", cases.len());
    both_agree(&cases);
}

/// Adds a number to 32 little-endian bytes; `None` if it does not fit.
fn plus(bytes: &[u8; 32], addend: &[u8; 32]) -> Option<[u8; 32]> {
    let (mut sum, mut carry) = ([0u8; 32], 0u16);
    for ((sum, a), b) in sum.iter_mut().zip(bytes).zip(addend) {
        carry += u16::from(*a) + u16::from(*b);
        *sum = carry as u8;
        carry >>= 8;
    }
    (carry == 0).then_some(sum)
}

/// L, the order of the base point: one more than the largest scalar.
fn order() -> [u8; 32] {
    let mut one = [0; 32];
    one[0] = 1;
    plus(&(-Scalar::ONE).to_bytes(), &one).unwrap()
}

#[test]
fn s_at_or_above_l_is_refused() {
    let a = Scalar::from(7u64);
    let good = mixed(a, EIGHT_TORSION[0], EIGHT_TORSION[0], b"x");
    let (nonce, mut s): (&[u8], [u8; 32]) = (&good.signature[..32], good.signature[32..].try_into().unwrap());
    let case = |name: String, s: &[u8; 32], valid| Case {
        name,
        key: good.key.clone(),
        message: good.message.clone(),
        signature: signature(nonce, s),
        valid,
    };
    let mut cases = vec![case("S".into(), &s, true), case("S = L".into(), &order(), false)];
    let mut times = 0;
    while let Some(more) = plus(&s, &order()) {
        (s, times) = (more, times + 1);
        cases.push(case(format!("S + {times} L"), &s, false));
    }
    cases.push(case("all bits".into(), &[0xff; 32], false));
    assert!(cases.len() > 10);
    both_agree(&cases);
}

/// Every spelling of y = p .. 2^255 - 1, with both signs: none is canonical.
fn non_canonical() -> Vec<[u8; 32]> {
    let spelling = |low: u8, sign: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (low, 0x7f | sign);
        bytes
    };
    let mut all: Vec<[u8; 32]> = (0xed..=0xffu8).flat_map(|low| [spelling(low, 0), spelling(low, 0x80)]).collect();
    // x = 0 with the sign of a negative number: the identity and the point of order 2.
    let (mut identity, mut two) = ([0; 32], spelling(0xec, 0x80));
    (identity[0], identity[31], two[31]) = (1, 0x80, 0xff);
    all.extend([identity, two]);
    all
}

#[test]
fn no_encoding_but_the_canonical_one_passes_for_a_key_or_a_nonce() {
    let a = Scalar::from(7u64);
    let mut cases = vec![];
    let key = (ED25519_BASEPOINT_POINT * a).compress();
    for encoding in non_canonical() {
        // As a nonce R: S makes the equation true for the point that a lax decoder reads, where it is the identity.
        let k = hash(&encoding, key.as_bytes(), b"x");
        let as_nonce = signature(&encoding, (k * a).as_bytes());
        let name = format!("R = {}", hex(&encoding));
        cases.push(Case {
            name,
            key: key.as_bytes().to_vec(),
            message: b"x".into(),
            signature: as_nonce,
            valid: false,
        });
        // As a key A: a signature by the scalar 0, valid for the identity read laxly.
        let nonce = (ED25519_BASEPOINT_POINT * a).compress();
        let as_key = signature(nonce.as_bytes(), a.as_bytes());
        let name = format!("A = {}", hex(&encoding));
        cases.push(Case { name, key: encoding.to_vec(), message: b"x".into(), signature: as_key, valid: false });
    }
    both_agree(&cases);
}

#[test]
fn bytes_that_are_no_point_are_refused_as_keys() {
    let good = mixed(Scalar::from(7u64), EIGHT_TORSION[0], EIGHT_TORSION[0], b"x");
    let cases: Vec<Case> = (2..=40u8)
        .map(|y| {
            let mut key = vec![0; 32];
            key[0] = y;
            let (message, signature) = (good.message.clone(), good.signature.clone());
            Case { name: format!("y = {y}"), key, message, signature, valid: false }
        })
        .collect();
    both_agree(&cases);
}
