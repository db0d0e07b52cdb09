/* neuron-schema's stand-in for the contrib module uuid-ossp, in SQL and PL/pgSQL alone.
   Names, arguments, volatility, strictness and parallel safety are those of
   https://www.postgresql.org/docs/18/uuid-ossp.html; uuid_generate_v1 and v1mc, which need the
   machine's clock and network card, are absent. Names follow RFC 9562, sections 5.3 and 5.5. */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION \"uuid-ossp\"" to load this file. \quit

CREATE FUNCTION uuid_nil()
RETURNS uuid
AS $$SELECT '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid$$
IMMUTABLE STRICT LANGUAGE sql PARALLEL SAFE;

CREATE FUNCTION uuid_ns_dns()
RETURNS uuid
AS $$SELECT '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::pg_catalog.uuid$$
IMMUTABLE STRICT LANGUAGE sql PARALLEL SAFE;

CREATE FUNCTION uuid_ns_url()
RETURNS uuid
AS $$SELECT '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::pg_catalog.uuid$$
IMMUTABLE STRICT LANGUAGE sql PARALLEL SAFE;

CREATE FUNCTION uuid_ns_oid()
RETURNS uuid
AS $$SELECT '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::pg_catalog.uuid$$
IMMUTABLE STRICT LANGUAGE sql PARALLEL SAFE;

CREATE FUNCTION uuid_ns_x500()
RETURNS uuid
AS $$SELECT '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::pg_catalog.uuid$$
IMMUTABLE STRICT LANGUAGE sql PARALLEL SAFE;

CREATE FUNCTION uuid_generate_v3(namespace uuid, name text)
RETURNS uuid
AS $$
DECLARE
  digest pg_catalog.bytea := pg_catalog.decode(pg_catalog.md5(
    pg_catalog.uuid_send(namespace) OPERATOR(pg_catalog.||)
    pg_catalog.convert_to(name, pg_catalog.getdatabaseencoding())), 'hex');
BEGIN
  digest := pg_catalog.set_byte(digest, 6, (pg_catalog.get_byte(digest, 6) & 15) | 48);
  digest := pg_catalog.set_byte(digest, 8, (pg_catalog.get_byte(digest, 8) & 63) | 128);
  RETURN pg_catalog.encode(digest, 'hex')::pg_catalog.uuid;
END
$$
IMMUTABLE STRICT LANGUAGE plpgsql SET search_path = pg_catalog PARALLEL SAFE;

CREATE FUNCTION uuid_generate_v4()
RETURNS uuid
AS $$SELECT pg_catalog.gen_random_uuid()$$
VOLATILE STRICT LANGUAGE sql PARALLEL SAFE;

/* SHA-1 (FIPS 180-4, section 6.1), which PostgreSQL has only in pgcrypto, over the namespace and
   the name. Words are 32 bits kept in a bigint, so nothing overflows before it is masked. */
CREATE FUNCTION uuid_generate_v5(namespace uuid, name text)
RETURNS uuid
AS $$
DECLARE
  word  CONSTANT bigint := 4294967295;
  message bytea := uuid_send(namespace) || convert_to(name, getdatabaseencoding());
  bits  CONSTANT bigint := length(message)::bigint * 8;
  at integer;
  w bigint[];
  h0 bigint := 1732584193;
  h1 bigint := 4023233417;
  h2 bigint := 2562383102;
  h3 bigint := 271733878;
  h4 bigint := 3285377520;
  a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; t bigint;
  digest bytea;
BEGIN
  -- one bit 1, zeros up to 56 bytes modulo 64, and the length in bits as 8 bytes
  message := message || '\x80'::bytea;
  message := message || decode(repeat('00', (120 - length(message) % 64) % 64), 'hex');
  message := message || int8send(bits);
  FOR block IN 0 .. length(message) / 64 - 1 LOOP
    FOR i IN 0 .. 15 LOOP
      at := block * 64 + i * 4;
      w[i] := get_byte(message, at)::bigint * 16777216 + get_byte(message, at + 1) * 65536
            + get_byte(message, at + 2) * 256 + get_byte(message, at + 3);
    END LOOP;
    FOR i IN 16 .. 79 LOOP
      t := w[i - 3] # w[i - 8] # w[i - 14] # w[i - 16];
      w[i] := ((t << 1) | (t >> 31)) & word;
    END LOOP;
    a := h0; b := h1; c := h2; d := h3; e := h4;
    FOR i IN 0 .. 79 LOOP
      IF i < 20 THEN
        f := d # (b & (c # d)); k := 1518500249;
      ELSIF i < 40 THEN
        f := b # c # d; k := 1859775393;
      ELSIF i < 60 THEN
        f := (b & c) | (b & d) | (c & d); k := 2400959708;
      ELSE
        f := b # c # d; k := 3395469782;
      END IF;
      t := ((((a << 5) & word) | (a >> 27)) + f + e + k + w[i]) & word;
      e := d; d := c; c := ((b << 30) | (b >> 2)) & word; b := a; a := t;
    END LOOP;
    h0 := (h0 + a) & word;
    h1 := (h1 + b) & word;
    h2 := (h2 + c) & word;
    h3 := (h3 + d) & word;
    h4 := (h4 + e) & word;
  END LOOP;
  -- a UUID is the first 16 of SHA-1's 20 bytes; h4 would be the rest
  digest := substr(int8send(h0), 5) || substr(int8send(h1), 5)
         || substr(int8send(h2), 5) || substr(int8send(h3), 5);
  digest := set_byte(digest, 6, (get_byte(digest, 6) & 15) | 80);
  digest := set_byte(digest, 8, (get_byte(digest, 8) & 63) | 128);
  RETURN encode(digest, 'hex')::uuid;
END
$$
IMMUTABLE STRICT LANGUAGE plpgsql SET search_path = pg_catalog PARALLEL SAFE;
