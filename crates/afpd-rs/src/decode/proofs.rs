//! Computes a captured SRP exchange again from the password and one side's secret number, and finds where it departs from the
//! specification.
//!
//! A capture and the password alone cannot be checked: what could be compared with them depends on a or b as well, which is what
//! SRP is for. With a (or b) the shared secret S follows, and with it every form an implementation may have given its K, M1 and M2.
//!
//! Not constant time and not meant to be: it runs where all secrets are known, on exchanges that are over. It uses the engine's
//! formulas one by one, because the engine's client and server rightly do not show their intermediate values.

use sha1::{Digest, Sha1};
use srp6a::formulas;
use srp6a::{Form, Group, Identity, Profile, SessionKey, SessionKeyRule};
use zeroize::Zeroizing;

/// One exchange as captured. Numbers are as they were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange {
    pub(super) login_name: Vec<u8>,
    pub(super) modulus: Vec<u8>,
    pub(super) generator: Vec<u8>,
    pub(super) salt: Vec<u8>,
    pub(super) b_pub: Vec<u8>,
    pub(super) a_pub: Vec<u8>,
    pub(super) m1: Vec<u8>,
    /// The server's proof, if it sent one.
    pub(super) m2: Option<Vec<u8>>,
}

/// What is known besides the capture.
pub(super) struct Known {
    pub(super) password: Zeroizing<String>,
    /// Computed with instead of the captured login name.
    pub(super) login_name: Option<String>,
    pub(super) secret: Secret,
}

/// One side's secret number, big-endian.
pub(super) enum Secret {
    /// a
    Client(Zeroizing<Vec<u8>>),
    /// b
    Server(Zeroizing<Vec<u8>>),
}

/// What came of computing an exchange again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The secret number belongs to another exchange: A (or B) is not what it gives.
    OtherExchange(&'static str),
    /// The exchange cannot be computed at all.
    Impossible(&'static str),
    /// Values in the order they are computed.
    Computed(Vec<Value>),
}

/// One value of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) name: &'static str,
    /// Whether it is as the specification has it.
    pub(super) agrees: bool,
    /// What it is; where it departs, how.
    pub(super) note: String,
}

impl Value {
    fn agrees(name: &'static str, note: impl Into<String>) -> Self {
        Self { name, agrees: true, note: note.into() }
    }

    fn departs(name: &'static str, note: impl Into<String>) -> Self {
        Self { name, agrees: false, note: note.into() }
    }
}

/// Computes `exchange` again.
pub(super) fn check(exchange: &Exchange, known: &Known) -> Finding {
    let Some(group) = Group::from_modulus(&exchange.modulus, &exchange.generator) else {
        return Finding::Impossible("N and g are no group of RFC 5054");
    };
    if exchange.a_pub.is_empty() || exchange.b_pub.is_empty() {
        return Finding::Impossible("A or B is empty");
    }
    if exchange.a_pub.len().max(exchange.b_pub.len()) > group.byte_len() {
        return Finding::Impossible("A or B is longer than N");
    }
    let login_name = known.login_name.as_ref().map_or(exchange.login_name.as_slice(), String::as_bytes);
    let again = Again { exchange, group, login_name, password: known.password.as_bytes(), secret: &known.secret };
    let (first, usual) = match &known.secret {
        Secret::Client(a) => {
            if strip(&formulas::g_pow(group, a)) != strip(&exchange.a_pub) {
                return Finding::OtherExchange("A is not g^a");
            }
            (Value::agrees("A", "is g^a: the client secret belongs to this exchange"), Profile::AFP)
        }
        Secret::Server(_) => match Again::variants_of_s().find(|profile| again.gives_b(profile)) {
            Some(profile) if profile == Profile::AFP => (
                Value::agrees("B", "is kv + g^b: login name, password, salt and server secret belong together"),
                profile,
            ),
            Some(profile) => (Value::departs("B", format!("is kv + g^b only with {}", before_s(&profile))), profile),
            None => return Finding::OtherExchange("B is not kv + g^b with this password, login name and salt"),
        },
    };
    let u = formulas::u(&Profile::AFP, group, &exchange.a_pub, &exchange.b_pub);
    let mut values = vec![first, Value::agrees("u", format!("SHA1(PAD(A) | PAD(B)) = {}", hex(&u)))];
    match again.proof_found(&usual) {
        Some((found, key)) => {
            let of_key = |rule: &str| {
                format!("{rule}; its SHA1 begins {}", hex(Sha1::digest(key.as_bytes()).get(..4).unwrap_or_default()))
            };
            let in_key = found.in_key();
            values.push(match in_key.as_str() {
                "" => Value::agrees("K", of_key("MGF1-SHA1(strip(S), 40)")),
                departure => Value::departs("K", of_key(departure)),
            });
            let in_m1 = found.in_m1();
            values.push(match in_m1.as_str() {
                "" => Value::agrees("M1", again.why_no_difference("is as specified, with strip(A) and strip(B)")),
                departure => Value::departs("M1", format!("is right only with {departure}")),
            });
            values.extend(again.m2(&key));
        }
        None => values.push(Value::departs(
            "M1",
            "is nothing these secrets give in any form known: another password or login name, or a changed message",
        )),
    }
    Finding::Computed(values)
}

struct Again<'a> {
    exchange: &'a Exchange,
    group: Group,
    login_name: &'a [u8],
    password: &'a [u8],
    secret: &'a Secret,
}

/// One way to compute M1: the profile, and A and B each stripped or padded.
struct Way {
    profile: Profile,
    a: Form,
    b: Form,
}

impl Again<'_> {
    /// What implementations may do differently before S: the login name in x, g in k, A and B in u. The specification's way first.
    fn variants_of_s() -> impl Iterator<Item = Profile> {
        let forms = [Form::Pad, Form::Strip];
        let names = [(true, Identity::AsGiven), (true, Identity::Lowercase), (false, Identity::AsGiven)];
        forms.into_iter().flat_map(move |g_in_k| {
            forms.into_iter().flat_map(move |ab_in_u| {
                let of_x =
                    move |(user_in_x, identity)| Profile { user_in_x, identity, g_in_k, ab_in_u, ..Profile::AFP };
                names.into_iter().map(of_x)
            })
        })
    }

    fn gives_b(&self, profile: &Profile) -> bool {
        let Secret::Server(b) = self.secret else { return false };
        let k = formulas::k(profile, self.group);
        strip(&formulas::b_pub(self.group, &k, &self.verifier(profile), b)) == strip(&self.exchange.b_pub)
    }

    fn verifier(&self, profile: &Profile) -> Zeroizing<Vec<u8>> {
        formulas::g_pow(self.group, &formulas::x(profile, self.login_name, self.password, &self.exchange.salt))
    }

    /// S for a profile's x, k and u.
    fn shared_secret(&self, profile: &Profile) -> Zeroizing<Vec<u8>> {
        let (a_pub, b_pub) = (&self.exchange.a_pub, &self.exchange.b_pub);
        let u = formulas::u(profile, self.group, a_pub, b_pub);
        match self.secret {
            Secret::Client(a) => {
                let x = formulas::x(profile, self.login_name, self.password, &self.exchange.salt);
                formulas::client_s(self.group, b_pub, &formulas::k(profile, self.group), &x, &u, a)
            }
            Secret::Server(b) => formulas::server_s(self.group, a_pub, &self.verifier(profile), &u, b),
        }
    }

    /// The way that gives the captured M1, the specification's first and those nearest to it next.
    fn proof_found(&self, usual: &Profile) -> Option<(Way, SessionKey)> {
        let of_x = std::iter::once(*usual).chain(Self::variants_of_s().filter(|profile| profile != usual));
        for of_x in of_x {
            let s = self.shared_secret(&of_x);
            for session_key in [Profile::AFP.session_key, SessionKeyRule::Hash] {
                for s_in_k in [Form::Strip, Form::Pad] {
                    let of_key = Profile { session_key, s_in_k, ..of_x };
                    let key = formulas::session_key(&of_key, &s);
                    for way in ways(of_key) {
                        if self.m1(&way, &key) == self.exchange.m1 {
                            return Some((way, key));
                        }
                    }
                }
            }
        }
        None
    }

    fn m1(&self, way: &Way, key: &SessionKey) -> Vec<u8> {
        let mut group_hash = Sha1::digest(self.group.modulus());
        let generator = self.in_form(&[self.group.generator()], way.profile.g_in_m1);
        for (byte, of_g) in group_hash.iter_mut().zip(Sha1::digest(generator)) {
            *byte ^= of_g;
        }
        let login_name = match way.profile.identity {
            Identity::AsGiven => self.login_name.to_vec(),
            Identity::Lowercase => self.login_name.to_ascii_lowercase(),
            Identity::Empty => Vec::new(),
        };
        Sha1::new()
            .chain_update(group_hash)
            .chain_update(Sha1::digest(login_name))
            .chain_update(&self.exchange.salt)
            .chain_update(self.in_form(&self.exchange.a_pub, way.a))
            .chain_update(self.in_form(&self.exchange.b_pub, way.b))
            .chain_update(key.as_bytes())
            .finalize()
            .to_vec()
    }

    fn m2(&self, key: &SessionKey) -> Option<Value> {
        let m2 = self.exchange.m2.as_ref()?;
        let with = |form| {
            let a_pub = self.in_form(&self.exchange.a_pub, form);
            Sha1::new().chain_update(a_pub).chain_update(&self.exchange.m1).chain_update(key.as_bytes()).finalize()
        };
        Some(if with(Form::Strip)[..] == **m2 {
            Value::agrees("M2", "is as specified: the server has the same key")
        } else if with(Form::Pad)[..] == **m2 {
            Value::departs("M2", "is right only with PAD(A)")
        } else {
            Value::departs("M2", "is nothing the key gives: the server does not have the key the client has")
        })
    }

    fn in_form(&self, number: &[u8], form: Form) -> Vec<u8> {
        let stripped = strip(number);
        match form {
            Form::Strip => stripped.to_vec(),
            Form::Pad => {
                let zeros = self.group.byte_len().saturating_sub(stripped.len());
                [vec![0; zeros].as_slice(), stripped].concat()
            }
        }
    }

    /// Without leading zero bytes the forms are the same bytes, so agreeing shows nothing.
    fn why_no_difference(&self, note: &str) -> String {
        let short = |number: &[u8]| strip(number).len() < self.group.byte_len();
        match (short(&self.exchange.a_pub), short(&self.exchange.b_pub)) {
            (false, false) => format!("{note} (neither begins with a zero byte, so PAD would be the same)"),
            (true, false) => format!("{note} (A begins with a zero byte: PAD(A) would not do)"),
            (false, true) => format!("{note} (B begins with a zero byte: PAD(B) would not do)"),
            (true, true) => format!("{note} (both begin with a zero byte: PAD would not do)"),
        }
    }
}

/// The ways to write g, A, B and the login name into M1, the specification's first.
fn ways(of_key: Profile) -> impl Iterator<Item = Way> {
    let forms = [Form::Strip, Form::Pad];
    let identities = [of_key.identity, Identity::AsGiven, Identity::Lowercase, Identity::Empty];
    identities.into_iter().flat_map(move |identity| {
        forms.into_iter().flat_map(move |g_in_m1| {
            forms.into_iter().flat_map(move |a| {
                forms.into_iter().map(move |b| Way { profile: Profile { identity, g_in_m1, ..of_key }, a, b })
            })
        })
    })
}

impl Way {
    /// How the key departs from the specification, up to and including K.
    fn in_key(&self) -> String {
        let rule = (self.profile.session_key == SessionKeyRule::Hash).then_some("K = SHA1(S)");
        let form = (self.profile.s_in_k == Form::Pad).then_some("PAD(S) in K");
        let before = before_s(&self.profile);
        joined([Some(before.as_str()).filter(|before| !before.is_empty()), rule, form])
    }

    fn in_m1(&self) -> String {
        let identity = match self.profile.identity {
            Identity::AsGiven => None,
            Identity::Lowercase => Some("the login name in small letters"),
            Identity::Empty => Some("no login name"),
        };
        let pad = |form, text| (form == Form::Pad).then_some(text);
        joined([identity, pad(self.profile.g_in_m1, "PAD(g)"), pad(self.a, "PAD(A)"), pad(self.b, "PAD(B)")])
    }
}

/// How x, k and u depart from the specification.
fn before_s(profile: &Profile) -> String {
    joined([
        (!profile.user_in_x).then_some("no login name in x"),
        (profile.user_in_x && profile.identity == Identity::Lowercase)
            .then_some("the login name in small letters in x"),
        (profile.g_in_k == Form::Strip).then_some("strip(g) in k"),
        (profile.ab_in_u == Form::Strip).then_some("strip(A) and strip(B) in u"),
    ])
}

fn joined<'a>(departures: impl IntoIterator<Item = Option<&'a str>>) -> String {
    departures.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn strip(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count().min(number.len().saturating_sub(1));
    number.get(zeros..).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; 16] = [7; 16];

    /// An exchange between implementations that follow `profile`; a is chosen so that A does or does not begin with a zero byte.
    fn exchange(profile: &Profile, a: &[u8], b: &[u8]) -> Exchange {
        let group = Group::Bits1536;
        let (name, password) = (&b"Anna"[..], &b"open sesame"[..]);
        let x = formulas::x(profile, name, password, &SALT);
        let v = formulas::g_pow(group, &x);
        let a_pub = formulas::g_pow(group, a);
        let b_pub = formulas::b_pub(group, &formulas::k(profile, group), &v, b);
        let u = formulas::u(profile, group, &a_pub, &b_pub);
        let s = formulas::server_s(group, &a_pub, &v, &u, b);
        let key = formulas::session_key(profile, &s);
        let m1 = formulas::m1(profile, group, name, &SALT, &a_pub, &b_pub, &key);
        let m2 = formulas::m2(profile, group, &a_pub, &m1, &key);
        Exchange {
            login_name: name.to_vec(),
            modulus: group.modulus().to_vec(),
            generator: vec![group.generator()],
            salt: SALT.to_vec(),
            b_pub,
            a_pub: a_pub.to_vec(),
            m1,
            m2: Some(m2),
        }
    }

    fn known(password: &str, secret: Secret) -> Known {
        Known { password: Zeroizing::new(password.to_owned()), login_name: None, secret }
    }

    fn client(a: &[u8]) -> Known {
        known("open sesame", Secret::Client(Zeroizing::new(a.to_vec())))
    }

    fn server(b: &[u8]) -> Known {
        known("open sesame", Secret::Server(Zeroizing::new(b.to_vec())))
    }

    fn departures(finding: &Finding) -> Vec<(&'static str, String)> {
        let Finding::Computed(values) = finding else { panic!("{finding:?}") };
        values.iter().filter(|value| !value.agrees).map(|value| (value.name, value.note.clone())).collect()
    }

    /// An a for which A begins with a zero byte. Found by counting up, so that it is the same every time.
    fn a_with_short_public_key() -> Vec<u8> {
        let base = [0x5a_u8; 30];
        (0_u16..=u16::MAX)
            .map(|count| [&base[..], &count.to_be_bytes()].concat())
            .find(|a| formulas::g_pow(Group::Bits1536, a)[0] == 0)
            .unwrap()
    }

    #[test]
    fn an_exchange_as_specified_agrees_from_both_sides() {
        let (a, b) = (a_with_short_public_key(), [3; 32]);
        let exchange = exchange(&Profile::AFP, &a, &b);
        for known in [client(&a), server(&b)] {
            let finding = check(&exchange, &known);
            assert_eq!(departures(&finding), [], "{finding:?}");
            let Finding::Computed(values) = finding else { panic!() };
            assert_eq!(values.iter().map(|value| value.name).skip(1).collect::<Vec<_>>(), ["u", "K", "M1", "M2"]);
            assert!(values[3].note.contains("PAD(A) would not do"), "{}", values[3].note);
        }
    }

    #[test]
    fn each_departure_is_named() {
        let a = a_with_short_public_key();
        let b = [3; 32];
        for (profile, name, said) in [
            (Profile { ab_in_m1: Form::Pad, ..Profile::AFP }, "M1", "PAD(A)"),
            (Profile { g_in_m1: Form::Pad, ..Profile::AFP }, "M1", "PAD(g)"),
            (Profile { session_key: SessionKeyRule::Hash, ..Profile::AFP }, "K", "K = SHA1(S)"),
            (Profile { g_in_k: Form::Strip, ..Profile::AFP }, "K", "strip(g) in k"),
            (Profile { ab_in_u: Form::Strip, ..Profile::AFP }, "K", "strip(B) in u"),
            (Profile { user_in_x: false, ..Profile::AFP }, "K", "no login name in x"),
            (Profile { a_in_m2: Form::Pad, ..Profile::AFP }, "M2", "PAD(A)"),
            (Profile { identity: Identity::Lowercase, ..Profile::AFP }, "K", "small letters in x"),
        ] {
            let exchange = exchange(&profile, &a, &b);
            let found = departures(&check(&exchange, &client(&a)));
            assert!(found.iter().any(|(at, note)| *at == name && note.contains(said)), "{said}: {found:?}");
            assert!(!departures(&check(&exchange, &server(&b))).is_empty(), "{said} from the server's side");
        }
    }

    #[test]
    fn wrong_secrets_are_told_apart() {
        let (a, b) = ([9; 32], [3; 32]);
        let exchange = exchange(&Profile::AFP, &a, &b);
        assert_eq!(check(&exchange, &client(&b)), Finding::OtherExchange("A is not g^a"));
        assert!(matches!(check(&exchange, &server(&a)), Finding::OtherExchange(_)));
        let wrong = known("close sesame", Secret::Client(Zeroizing::new(a.to_vec())));
        let found = departures(&check(&exchange, &wrong));
        assert!(found.len() == 1 && found[0].0 == "M1" && found[0].1.contains("another password"), "{found:?}");
        let named = Known { login_name: Some("bert".to_owned()), ..client(&a) };
        assert_eq!(departures(&check(&exchange, &named)).len(), 1);
    }

    #[test]
    fn a_forged_server_proof_is_found() {
        let a = [9; 32];
        let mut exchange = exchange(&Profile::AFP, &a, &[3; 32]);
        exchange.m2.as_mut().unwrap()[0] ^= 1;
        let found = departures(&check(&exchange, &client(&a)));
        assert!(found.len() == 1 && found[0].0 == "M2", "{found:?}");
    }

    #[test]
    fn what_cannot_be_computed_is_said() {
        let good = exchange(&Profile::AFP, &[9; 32], &[3; 32]);
        let other_group = Exchange { generator: vec![5], ..good.clone() };
        assert!(matches!(check(&other_group, &client(&[9; 32])), Finding::Impossible(_)));
        for wrong in [Vec::new(), vec![1; 193]] {
            let exchange = Exchange { a_pub: wrong, ..good.clone() };
            assert!(matches!(check(&exchange, &client(&[9; 32])), Finding::Impossible(_)));
        }
    }
}
