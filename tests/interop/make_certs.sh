#!/bin/sh
# Makes throw-away certificates for tests: make_certs.sh DIR. Existing ones are kept.
#   ca, server          a server "localhost" that everybody trusts
#   client              a client with exactly one SPIFFE name
#   twofold             a client with two URI names: no SPIFFE identity
#   wrong-usage         signed by ca, but for servers only
#   revoked             signed by ca, and in crl.pem
#   rogue               signed by an authority that nobody trusts
#   server2             another certificate for localhost, same ca
set -eu
mkdir -p "$1"
cd "$1"
[ -e done ] && exit 0

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
new_ca() {
  new_key "$1"
  openssl req -x509 -new -key "$1.key" -days 30 -subj "/CN=$1" -out "$1.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}
# new_cert NAME CA USAGE ALTERNATIVE_NAMES
new_cert() {
  new_key "$1"
  printf 'extendedKeyUsage=%s\nsubjectAltName=%s\nbasicConstraints=CA:FALSE\n' "$3" "$4" >"$1.ext"
  openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 30 \
    -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

new_ca ca
new_ca rogue-ca
local_names=DNS:localhost,IP:127.0.0.1,IP:::1
new_cert server ca serverAuth $local_names
new_cert server2 ca serverAuth $local_names
new_cert client ca clientAuth URI:spiffe://berth.test/role/vmaas,DNS:client.test
new_cert twofold ca clientAuth URI:spiffe://berth.test/role/vmaas,URI:spiffe://berth.test/role/operator
new_cert wrong-usage ca serverAuth DNS:client.test
new_cert revoked ca clientAuth DNS:client.test
new_cert rogue rogue-ca clientAuth URI:spiffe://berth.test/role/vmaas

: >index.txt
echo 01 >crlnumber
cat >crl.conf <<END
[ca]
default_ca = this
[this]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 30
END
openssl ca -config crl.conf -cert ca.crt -keyfile ca.key -revoke revoked.crt 2>/dev/null
openssl ca -config crl.conf -cert ca.crt -keyfile ca.key -gencrl -out crl.pem 2>/dev/null
touch done
