//! The doors' contract, over real sockets and with a scripted intake behind them.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod authority;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod doors_of_sap;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tls_files;
#[cfg(test)]
mod tls_hostile;
