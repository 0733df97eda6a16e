//! What stands in `server.properties`.

use std::path::Path;

use super::{Kafka, Ports, SecurePorts, write};
use crate::Authority;

/// One node does with one copy of everything; a group does not wait for members; and after
/// `kill -9` a node waits for the end of its own session, which is 9 seconds unless it is told
/// otherwise. Kafka would take 128 MB for its cleaner.
const SMALL: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=200
log.cleaner.dedupe.buffer.size=4194304
";

/// A node with one listener for clients.
pub(super) fn plain(ports: &Ports, data: &Path) -> String {
    format!(
        "{SMALL}log.dirs={data}\ncontroller.quorum.voters=1@{controller}\n{}",
        listeners(ports, ""),
        data = data.display(),
        controller = ports.controller.address(),
    )
}

fn listeners(ports: &Ports, more: &str) -> String {
    let clients = format!("PLAINTEXT://{}{more}", ports.plain.address());
    format!(
        "listeners={clients},CONTROLLER://{}\nadvertised.listeners={clients}\n",
        ports.controller.address()
    )
}

/// Two listeners more, and what they know clients by.
pub(super) fn secure(
    secure: &SecurePorts,
    ports: &Ports,
    folder: &Path,
    authority: &Authority,
) -> String {
    let identity = authority.identity("127.0.0.1", 1);
    let (keys, trusted) = (folder.join("server.pem"), folder.join("authority.pem"));
    write(
        &keys,
        &format!("{}{}", identity.key_pem(), identity.certificate_pem()),
    );
    write(&trusted, &authority.pem());
    let more = format!(
        ",SASL_SSL://{},SSL://{}",
        secure.sasl.address(),
        secure.certificates.address()
    );
    format!(
        "{listeners}\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,\
         SSL:SSL\n\
         ssl.keystore.type=PEM\nssl.keystore.location={keys}\n\
         ssl.truststore.type=PEM\nssl.truststore.location={trusted}\n\
         listener.name.ssl.ssl.client.auth=required\n\
         {sasl}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n\
         {sasl}.plain.{jaas}={login}.plain.PlainLoginModule required \
         user_{user}=\"{password}\";\n\
         {sasl}.scram-sha-256.{jaas}={login}.scram.ScramLoginModule required;\n\
         {sasl}.scram-sha-512.{jaas}={login}.scram.ScramLoginModule required;\n\
         {sasl}.oauthbearer.{jaas}={login}.oauthbearer.OAuthBearerLoginModule required \
         unsecuredLoginStringClaim_sub=\"broker\";\n",
        listeners = listeners(ports, &more),
        keys = keys.display(),
        trusted = trusted.display(),
        sasl = "listener.name.sasl_ssl",
        jaas = "sasl.jaas.config",
        login = "org.apache.kafka.common.security",
        user = Kafka::USER,
        password = Kafka::PASSWORD,
    )
}
