//! The certificate authority and its CT log (RFC 6962, precertificate SCT embedded in the certificate).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Digest;
use jiff::{SignedDuration, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PublicKeyData as _, SanType,
    SigningKey as _,
};
use serde::{Deserialize, Serialize};
use x509_cert::der::asn1::{OctetStringRef, Utf8StringRef};
use x509_cert::der::{Decode as _, Encode as _};

use super::{ORGANISATION, SigstoreError, Workflow, load_key};

/// Fulcio's certificates live for ten minutes.
pub(super) const LEAF_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Validity of root and intermediate.
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365 * 10);

/// Arc of the Fulcio extensions.
const FULCIO: [u64; 8] = [1, 3, 6, 1, 4, 1, 57264, 1];
/// Embedded SCT list (RFC 6962 section 3.3).
const SCT_LIST: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
/// Subject key identifier, which rcgen writes for authorities alone.
const SUBJECT_KEY_IDENTIFIER: [u64; 4] = [2, 5, 29, 14];

/// Root and intermediate, P-384.
#[derive(Debug)]
pub(super) struct Fulcio {
    root_key: KeyPair,
    /// DER.
    pub(super) root: Vec<u8>,
    /// DER.
    pub(super) intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// Keys (PKCS #8) and certificates (DER) in base64.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedFulcio {
    root_key: String,
    root: String,
    intermediate_key: String,
    intermediate: String,
}

/// What a certificate is asked for.
pub(super) struct Request<'a> {
    pub(super) key: &'a KeyPair,
    pub(super) workflow: &'a Workflow,
    pub(super) at: Timestamp,
    /// Code signing, where nothing is to be wrong.
    pub(super) usage: ExtendedKeyUsagePurpose,
}

/// The SCT that a certificate gets.
#[derive(Clone, Copy)]
pub(super) enum Sct<'a> {
    /// None at all.
    None,
    /// By this log.
    By(&'a KeyPair),
    /// By this log, over other bytes than the certificate's.
    OfAnother(&'a KeyPair),
}

impl Fulcio {
    pub(super) fn new(valid_from: Timestamp) -> Result<Self, SigstoreError> {
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let root = authority("fluxgate demo root", 1, valid_from)?;
        let mut params = authority("fluxgate demo intermediate", 0, valid_from)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_params(&root, &root_key);
        let intermediate = params.signed_by(&key, &issuer)?.der().to_vec();
        Ok(Self {
            root: root.self_signed(&root_key)?.der().to_vec(),
            intermediate,
            issuer: Issuer::new(params, key),
            root_key,
        })
    }

    pub(super) fn save(&self) -> SavedFulcio {
        SavedFulcio {
            root_key: STANDARD.encode(self.root_key.serialized_der()),
            root: STANDARD.encode(&self.root),
            intermediate_key: STANDARD.encode(self.issuer.key().serialized_der()),
            intermediate: STANDARD.encode(&self.intermediate),
        }
    }

    pub(super) fn load(saved: &SavedFulcio, valid_from: Timestamp) -> Result<Self, SigstoreError> {
        let params = authority("fluxgate demo intermediate", 0, valid_from)?;
        let key = load_key(&saved.intermediate_key, &PKCS_ECDSA_P384_SHA384)?;
        Ok(Self {
            root_key: load_key(&saved.root_key, &PKCS_ECDSA_P384_SHA384)?,
            root: STANDARD.decode(&saved.root)?,
            intermediate: STANDARD.decode(&saved.intermediate)?,
            issuer: Issuer::new(params, key),
        })
    }

    pub(super) fn chain_pem(&self) -> String {
        pem(&self.intermediate) + &pem(&self.root)
    }

    /// A certificate in PEM for this key and workflow. The CT log signs it first without SCT; then it is
    /// issued again, with the same serial number and the SCT as its last extension, so that whoever takes
    /// the SCT out has the very bytes that were logged.
    pub(super) fn issue(&self, request: &Request<'_>, sct: Sct<'_>) -> Result<String, SigstoreError> {
        let Request { key, at, .. } = *request;
        let mut params = leaf(request)?;
        if let Sct::By(ct_log) | Sct::OfAnother(ct_log) = sct {
            let logged = params.signed_by(key, &self.issuer)?;
            let mut logged = x509_cert::Certificate::from_der(logged.der())?
                .tbs_certificate
                .to_der()?;
            if matches!(sct, Sct::OfAnother(_)) {
                logged.push(0);
            }
            let issuer = Digest::of(&self.issuer.key().subject_public_key_info());
            let list = sct_list(&logged, issuer, at, ct_log)?;
            params
                .custom_extensions
                .push(CustomExtension::from_oid_content(&SCT_LIST, list));
        }
        Ok(pem(params.signed_by(key, &self.issuer)?.der()))
    }
}

fn authority(name: &str, path_length: u8, valid_from: Timestamp) -> Result<CertificateParams, SigstoreError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, ORGANISATION);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(
        &mut params,
        valid_from,
        valid_from.checked_add(AUTHORITY_LIFETIME)?,
    );
    Ok(params)
}

fn leaf(request: &Request<'_>) -> Result<CertificateParams, SigstoreError> {
    let Request {
        key,
        workflow,
        at,
        usage,
    } = request;
    let subject =
        Ia5String::try_from(workflow.subject.as_str()).map_err(|source| SigstoreError::Subject {
            subject: workflow.subject.clone(),
            source,
        })?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(subject)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage.clone()];
    params.use_authority_key_identifier_extension = true;
    let serial = Digest::of(&key.subject_public_key_info());
    // Positive and at most 20 bytes (RFC 5280 section 4.1.2.2).
    let serial: Vec<u8> = std::iter::once(1)
        .chain(serial.as_bytes().iter().copied().take(15))
        .collect();
    params.serial_number = Some(serial.into());
    set_validity(&mut params, *at, at.checked_add(LEAF_LIFETIME)?);
    let identifier = params.key_identifier(*key);
    let identifier = OctetStringRef::new(&identifier)?.to_der()?;
    params.custom_extensions.push(CustomExtension::from_oid_content(
        &SUBJECT_KEY_IDENTIFIER,
        identifier,
    ));
    params.custom_extensions.extend(claims(workflow)?);
    Ok(params)
}

/// Extensions `.1` to `.6` as bare bytes, `.8` to `.22` as DER UTF8String (Fulcio `docs/oid-info.md`).
fn claims(workflow: &Workflow) -> Result<Vec<CustomExtension>, SigstoreError> {
    let Workflow {
        subject,
        issuer,
        source_repository,
        source_ref,
        source_owner,
        ..
    } = workflow;
    let Workflow {
        source_digest,
        trigger,
        runner,
        name,
        ..
    } = workflow;
    let short = source_repository
        .strip_prefix("https://github.com/")
        .unwrap_or(source_repository);
    let run = format!("{source_repository}/actions/runs/1/attempts/1");
    let bare = [
        (1, issuer.as_str()),
        (2, trigger),
        (3, source_digest),
        (4, name),
        (5, short),
        (6, source_ref),
    ];
    let texts = [
        (8, issuer.as_str()),
        (9, subject),
        (10, source_digest),
        (11, runner),
        (12, source_repository),
        (13, source_digest),
        (14, source_ref),
        (15, "1"),
        (16, source_owner),
        (17, "2"),
        (18, subject),
        (19, source_digest),
        (20, trigger),
        (21, &run),
        (22, "public"),
    ];
    let extension = |number, content| {
        let oid: Vec<u64> = FULCIO.iter().copied().chain([number]).collect();
        CustomExtension::from_oid_content(&oid, content)
    };
    let mut extensions: Vec<_> = bare
        .map(|(n, text)| extension(n, text.as_bytes().to_vec()))
        .into();
    for (number, text) in texts {
        extensions.push(extension(number, Utf8StringRef::new(text)?.to_der()?));
    }
    Ok(extensions)
}

/// The extension's content: an OCTET STRING of a list with one SCT (RFC 6962 sections 3.2 and 3.3).
fn sct_list(tbs: &[u8], issuer: Digest, at: Timestamp, ct_log: &KeyPair) -> Result<Vec<u8>, SigstoreError> {
    let too_long = |bytes| SigstoreError::Length { bytes };
    let milliseconds = at.as_millisecond().to_be_bytes();
    let length = u32::try_from(tbs.len())
        .or(Err(too_long(tbs.len())))?
        .to_be_bytes();
    let [0, length @ ..] = length else {
        return Err(too_long(tbs.len()));
    };
    // digitally-signed: version v1, certificate_timestamp, time, precert_entry, issuer, TBS, no extensions
    let mut signed = vec![0, 0];
    signed.extend(milliseconds);
    signed.extend([0, 1]);
    signed.extend(issuer.as_bytes());
    signed.extend(length);
    signed.extend(tbs);
    signed.extend([0, 0]);
    let signature = ct_log.sign(&signed)?;

    let mut sct = vec![0];
    sct.extend(Digest::of(&ct_log.subject_public_key_info()).as_bytes());
    sct.extend(milliseconds);
    // no extensions; SHA-256, ECDSA
    sct.extend([0, 0, 4, 3]);
    sct.extend(framed(&signature)?);
    let list = framed(&framed(&sct)?)?;
    Ok(OctetStringRef::new(&list)?.to_der()?)
}

fn framed(bytes: &[u8]) -> Result<Vec<u8>, SigstoreError> {
    let length = u16::try_from(bytes.len()).or(Err(SigstoreError::Length { bytes: bytes.len() }))?;
    Ok([&length.to_be_bytes(), bytes].concat())
}

fn set_validity(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let since_epoch = |time: Timestamp| Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(from);
    params.not_after = epoch + since_epoch(until);
}

/// RFC 7468, 64 characters a line.
pub(super) fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, character) in STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text + "\n-----END CERTIFICATE-----\n"
}
