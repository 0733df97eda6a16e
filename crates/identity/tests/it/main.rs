//! Every way to prove who one is, and the ways to pretend it.

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod house;
#[cfg(test)]
mod issuer_keys;
#[cfg(test)]
mod passwords;
#[cfg(test)]
mod people;
#[cfg(test)]
mod signing;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod vectors;
