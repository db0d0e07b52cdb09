-- plain_table
create table t ( id serial not null , big bigint generated always as identity ( increment by 2 start with 10 ) , code varchar ( 10 ) not null , note text default 'it''s 50% \ off :now' , made timestamp with time zone default now ( ) , day date default current_date , price numeric ( 10 , 2 ) default 0 , flag boolean default true , key uuid default gen_random_uuid ( ) , tags text [ ] default '{}' , half integer generated always as ( id / 2 ) stored , primary key ( id ) , constraint ck_price check ( price % 5 = 0 and note not like '%:x%' ) , constraint uq_code_day unique nulls not distinct ( code , day ) , unique ( code ) );

-- hostile_names
create schema "Odd ""Schema""";
create table "Odd ""Schema""" . "select ""from"" 100%" ( "Id" serial not null , "a""b:c" text constraint "ck%s" check ( true ) , primary key ( "Id" ) );
comment on table "Odd ""Schema""" . "select ""from"" 100%" is '100% ''quoted'' $$ :name \ -- /* ü';
comment on column "Odd ""Schema""" . "select ""from"" 100%" . "a""b:c" is 'c % '' :x \';
create index "ix %(x)s ""q""" on "Odd ""Schema""" . "select ""from"" 100%" ( "a""b:c" );

-- comments
create schema if not exists app;
create table app . t ( id integer , n integer , constraint ck_n check ( n % 2 = 0 ) );
comment on table app . t is 'a table';
comment on column app . t . id is 'the key';
comment on constraint ck_n on app . t is 'even, 100%';
comment on column app . t . id is null;
comment on constraint ck_n on app . t is null;
comment on table app . t is null;
comment on table app . t is 'a table';

-- foreign_keys
create table a ( id serial not null , b_id integer , primary key ( id ) );
create table b ( id serial not null , a_id integer , primary key ( id ) , foreign key ( a_id ) references a ( id ) on delete cascade on update restrict );
alter table a add constraint fk_a_b foreign key ( b_id ) references b ( id ) deferrable initially deferred not valid;

-- constraints_added_and_dropped
create table t ( id integer , span int4range , constraint uq_id unique ( id ) );
alter table t add constraint ck_id check ( id > 0 and id :: text like '%' ) not valid;
alter table t add constraint ex_span exclude using gist ( span range_ops with && );
alter table t drop constraint uq_id;
alter table t drop constraint if exists uq_id cascade;

-- types_and_sequences
create type mood as enum ( 'sad' , 'it''s 100%' );
create domain positive as integer not null check ( value > 0 );
create sequence s as bigint increment by 5 start with 5;
create table t ( id bigint default nextval ( 's' ) not null , mood mood default 'it''s 100%' , moods mood [ ] , p positive , free varchar ( 1 ) , primary key ( id ) , constraint xy check ( free in ( 'x' , 'y' ) ) );
create type other as enum ( 'q' );
drop type other;
create sequence if not exists gone;
drop sequence if exists gone;

-- indexes
create table shapes ( id integer , a text , b varchar ( 20 ) , doc jsonb , tags text [ ] , span int4range , "We""ird %" text );
create index s_plain on shapes ( a );
create index s_two on shapes ( a , id );
create index s_desc on shapes ( a desc );
create index s_desc_last on shapes ( a desc nulls last , id asc nulls first );
create index s_desc_func on shapes ( b desc );
create index s_text on shapes ( a desc );
create index s_text_two on shapes ( a desc nulls last , lower ( b ) );
create index s_text_ops on shapes ( lower ( a ) text_pattern_ops , id );
create index s_lower on shapes ( lower ( a ) );
create index s_lower_desc on shapes ( lower ( a ) desc nulls last );
create index s_concat on shapes ( ( a || '%:x''' ) , id );
create index s_coalesce on shapes ( coalesce ( a , b , 'x,y' ) );
create index s_cast on shapes ( cast ( id as text ) );
create index s_labelled on shapes ( lower ( a ) text_pattern_ops );
create index s_pattern on shapes ( a text_pattern_ops , b );
create index s_varchar on shapes ( b pg_catalog . varchar_ops );
create index s_partial on shapes ( id ) where a like '50%''';
create index s_partial_text on shapes ( id ) where a <> '%:x';
create index s_include on shapes ( id ) include ( b , a );
create index s_include_column on shapes ( id ) include ( "We""ird %" );
create unique index s_unique on shapes ( id );
create unique index s_nulls on shapes ( id , a ) nulls not distinct;
create unique index s_nulls_distinct on shapes ( id ) nulls distinct;
create index s_fill on shapes ( id ) with ( fillfactor = 70 , deduplicate_items = false );
create index s_hash on shapes using hash ( id );
create index s_brin on shapes using brin ( id ) with ( pages_per_range = 32 , autosummarize = true );
create index s_gin on shapes using gin ( doc jsonb_path_ops ) with ( fastupdate = off );
create index s_gin_default on shapes using gin ( doc , tags );
create index s_gin_path on shapes using gin ( ( doc [ 'a' ] ) jsonb_ops );
create index s_gist on shapes using gist ( span );
create index s_spgist on shapes using spgist ( span );
create index s_collate on shapes ( ( a collate "C" ) );
create index s_collate_desc on shapes ( a collate "C" desc , b );
create index s_collate_expr on shapes ( ( lower ( a ) collate "C" ) );
create index "S ""hostile"" % :x" on shapes ( "We""ird %" );
create index s_space on shapes ( id ) tablespace pg_default;
create index s_bool on shapes ( ( id > 5 ) );
create index s_sub on shapes ( substr ( a , 1 , 3 ) , b desc );

-- drops
create schema s;
create table if not exists s . t ( id integer );
create index if not exists ix_id on s . t ( id );
drop index s . ix_id;
drop index if exists s . ix_id;
create view s . v as select s . t . id from s . t;
drop view s . v;
drop table s . t;
drop table if exists s . t;
drop schema if exists s cascade;
create schema kept;

-- views
create table t ( id integer , name text , at timestamp without time zone );
create view v with ( security_invoker = true ) as select t . id , t . name || '%:x' as n from t where t . name like '50%\%''' and t . at > '2024-02-29 12:30:01.000005' and t . id in ( 1 , 2 , 3 );
create materialized view mv as select t . id , t . name || '%:x' as n from t where t . name like '50%\%''' and t . at > '2024-02-29 12:30:01.000005' and t . id in ( 1 , 2 , 3 );
create table copy as select t . id , t . name || '%:x' as n from t where t . name like '50%\%''' and t . at > '2024-02-29 12:30:01.000005' and t . id in ( 1 , 2 , 3 );
create or replace view v as select t . id , t . name || '%:x' as n from t where t . name like '50%\%''' and t . at > '2024-02-29 12:30:01.000005' and t . id in ( 1 , 2 , 3 );

-- partitions_and_options
create table p ( id integer , at date ) partition by range ( at );
create unlogged table u ( id integer ) with ( fillfactor = 70 , autovacuum_enabled = false );
create table child ( x integer ) inherits ( u );

-- verbatim
create function f ( a int ) returns text language plpgsql as $body$
            BEGIN
              -- :name and %s and ; stay
              RETURN format('%s-%I %% ' || E'\t' || ':x', a, 'q');
            END $body$;
create table "T" ( a text default 'a%b :c \d' , check ( a <> '%' and a :: text <> '' ) );
create function g ( ) returns int language sql begin atomic select 5 % 3 ; end;
comment on table "T" is 'it''s 100% :z';
create view v as select ':a' as "b";
create rule r as on insert to "T" do also ( select 1 ; select '%' ; );

-- rows
create table t ( id serial not null , name varchar ( 30 ) , n integer default '7' , at timestamp without time zone , doc jsonb , primary key ( id ) );
insert into t ( name , n , at , doc ) values ( '50% ''a'' :b \ 
%(x)s' , null , date_trunc ( 'century' , now ( ) ) , '{"a": [1, null, "ü''%"]}' :: jsonb );
insert into t ( name , n , at , doc ) values ( 'x' , 1 , date_trunc ( 'century' , now ( ) ) , 'null' :: jsonb ) , ( 'y' , 2 , date_trunc ( 'century' , now ( ) ) , '3' :: jsonb );
insert into t ( at ) values ( date_trunc ( 'century' , now ( ) ) );
insert into t ( name , n , at ) values ( null , length ( 'abc%' ) , date_trunc ( 'century' , now ( ) ) );
insert into t ( name , n , at ) select t . name , t . n + 1 as anon_1 , date_trunc ( 'century' , now ( ) ) as date_trunc_1 from t where t . n = 2;
insert into t ( id , name , at ) values ( 1 , 'clash' , date_trunc ( 'century' , now ( ) ) ) on conflict ( id ) do update set name = 'upd%' where t . n > 0;
update t set n = ( t . n * 2 + 1 ) where t . name like '%x%' and t . id in ( 2 , 3 );
update t set doc = 'null' :: jsonb where ( t . doc ->> 'a' ) = '1' and t . n is null;
delete from t where t . n = 4;
delete from t where t . n in ( null ) and ( 1 != 1 );

-- values
create extension vector;
create table vals ( c0 text , c1 integer , c2 smallint , c3 bigint , c4 numeric ( 20 , 5 ) , c5 numeric , c6 double precision , c7 float , c8 double precision , c9 boolean , c10 bytea , c11 bytea , c12 uuid , c13 uuid , c14 date , c15 date , c16 time without time zone , c17 timestamp without time zone , c18 timestamp with time zone , c19 interval , c20 interval , c21 interval , c22 interval , c23 varchar ( 5 ) , c24 json , c25 jsonb , c26 jsonb , c27 jsonb , c28 jsonb , c29 integer , c30 integer [ ] , c31 text [ ] , c32 integer [ ] , c33 varchar ( 9 ) [ ] , c34 jsonb [ ] , c35 uuid [ ] , c36 int4range , c37 int4range , c38 numrange , c39 tsrange , c40 int4multirange , c41 inet , c42 cidr , c43 macaddr , c44 bit ( 4 ) , c45 bit varying , c46 money , c47 tsvector , c48 oid , c49 regclass , c50 jsonpath , c51 varchar ( 20 ) , c52 jsonb , c53 vector ( 3 ) , c54 halfvec ( 2 ) , c55 sparsevec ( 3 ) , c56 bit ( 3 ) , c57 bit ( 3 ) );
insert into vals ( c0 , c1 , c2 , c3 , c4 , c5 , c6 , c7 , c8 , c9 , c10 , c11 , c12 , c13 , c14 , c15 , c16 , c17 , c18 , c19 , c20 , c21 , c22 , c23 , c24 , c25 , c26 , c27 , c28 , c29 , c30 , c31 , c32 , c33 , c34 , c35 , c36 , c37 , c38 , c39 , c40 , c41 , c42 , c43 , c44 , c45 , c46 , c47 , c48 , c49 , c50 , c51 , c52 , c53 , c54 , c55 , c56 , c57 ) values ( 'it''s \ 50% :x
' , - 5 , 1 , 4611686018427387904 , - 1.5e+3 , 'NaN' :: numeric , 0.1 , 1e-07 , '-inf' :: double precision , true , '\x00275c25ff' :: bytea , '\x6162' :: bytea , '00000000-0000-0000-0000-000000000005' , '00000000000000000000000000000005' , '2024-02-29' , 'infinity' , '01:02:03.000004' , '0024-01-02 03:00:00' , '2024-01-02 03:04:05.000006+02:00' , '1 days 5.000007 seconds' :: interval , '-1 days +5 seconds' :: interval , '0 seconds' :: interval , '1 mon' :: interval , 'HAPPY' , '{"a": ["ü", "''", "\\", "%", ":x"]}' :: json , '[1, null, {"b": 1.5}]' :: jsonb , 'null' :: jsonb , null , '"a''b"' :: jsonb , null , array [ 1 , null , 3 ] :: integer [ ] , array [ ] :: text [ ] , array [ array [ 1 , 2 ] , array [ 3 , 4 ] ] :: integer [ ] , array [ 'a''' , '"' , '\' , '%' , 'NULL' ] :: varchar [ ] , array [ '[1]' :: jsonb , '{"a": 2}' :: jsonb ] :: jsonb [ ] , array [ '00000000-0000-0000-0000-000000000001' ] :: uuid [ ] , '["1","10")' :: int4range , 'empty' :: int4range , '(,"1.5"]' :: numrange , '["2024-01-01 00:00:00",)' :: tsrange , '{["1","3"),["5","7")}' :: int4multirange , '10.0.0.1/8' :: inet , '10.0.0.0/8' :: cidr , '08:00:2b:01:02:03' :: macaddr , b'0101' , b'011' , '12.50' :: money , 'a:1 b' :: tsvector , 25 :: oid , 'pg_class' :: regclass , '$.a' , 'ABC%' , '{"v": [1]}' :: jsonb , '[1.0,2.5,-3.0]' , '[1.0,2.0]' , '{2:2.0}/3' , b'101' , b'110' );
update vals set c0 = 'it''s \ 50% :x
' , c1 = - 5 , c2 = 1 , c3 = 4611686018427387904 , c4 = - 1.5e+3 , c5 = 'NaN' :: numeric , c6 = 0.1 , c7 = 1e-07 , c8 = '-inf' :: double precision , c9 = true , c10 = '\x00275c25ff' :: bytea , c11 = '\x6162' :: bytea , c12 = '00000000-0000-0000-0000-000000000005' , c13 = '00000000000000000000000000000005' , c14 = '2024-02-29' , c15 = 'infinity' , c16 = '01:02:03.000004' , c17 = '0024-01-02 03:00:00' , c18 = '2024-01-02 03:04:05.000006+02:00' , c19 = '1 days 5.000007 seconds' :: interval , c20 = '-1 days +5 seconds' :: interval , c21 = '0 seconds' :: interval , c22 = '1 mon' :: interval , c23 = 'HAPPY' , c24 = '{"a": ["ü", "''", "\\", "%", ":x"]}' :: json , c25 = '[1, null, {"b": 1.5}]' :: jsonb , c26 = 'null' :: jsonb , c27 = null , c28 = '"a''b"' :: jsonb , c29 = null , c30 = array [ 1 , null , 3 ] :: integer [ ] , c31 = array [ ] :: text [ ] , c32 = array [ array [ 1 , 2 ] , array [ 3 , 4 ] ] :: integer [ ] , c33 = array [ 'a''' , '"' , '\' , '%' , 'NULL' ] :: varchar [ ] , c34 = array [ '[1]' :: jsonb , '{"a": 2}' :: jsonb ] :: jsonb [ ] , c35 = array [ '00000000-0000-0000-0000-000000000001' ] :: uuid [ ] , c36 = '["1","10")' :: int4range , c37 = 'empty' :: int4range , c38 = '(,"1.5"]' :: numrange , c39 = '["2024-01-01 00:00:00",)' :: tsrange , c40 = '{["1","3"),["5","7")}' :: int4multirange , c41 = '10.0.0.1/8' :: inet , c42 = '10.0.0.0/8' :: cidr , c43 = '08:00:2b:01:02:03' :: macaddr , c44 = b'0101' , c45 = b'011' , c46 = '12.50' :: money , c47 = 'a:1 b' :: tsvector , c48 = 25 :: oid , c49 = 'pg_class' :: regclass , c50 = '$.a' , c51 = 'ABC%' , c52 = '{"v": [1]}' :: jsonb , c53 = '[1.0,2.5,-3.0]' , c54 = '[1.0,2.0]' , c55 = '{2:2.0}/3' , c56 = b'101' , c57 = b'110';
create table defaults ( c0 text default 'it''s \ 50% :x
' , c1 integer default - 5 , c2 smallint default 1 , c3 bigint default 4611686018427387904 , c4 numeric ( 20 , 5 ) default - 1.5e+3 , c5 numeric default 'NaN' :: numeric , c6 double precision default 0.1 , c7 float default 1e-07 , c8 double precision default '-inf' :: double precision , c9 boolean default true , c10 bytea default '\x00275c25ff' :: bytea , c11 bytea default '\x6162' :: bytea , c12 uuid default '00000000-0000-0000-0000-000000000005' , c13 uuid default '00000000000000000000000000000005' , c14 date default '2024-02-29' , c15 date default 'infinity' , c16 time without time zone default '01:02:03.000004' , c17 timestamp without time zone default '0024-01-02 03:00:00' , c18 timestamp with time zone default '2024-01-02 03:04:05.000006+02:00' , c19 interval default '1 days 5.000007 seconds' :: interval , c20 interval default '-1 days +5 seconds' :: interval , c21 interval default '0 seconds' :: interval , c22 interval default '1 mon' :: interval , c23 varchar ( 5 ) default 'HAPPY' , c24 json default '{"a": ["ü", "''", "\\", "%", ":x"]}' :: json , c25 jsonb default '[1, null, {"b": 1.5}]' :: jsonb , c28 jsonb default '"a''b"' :: jsonb , c30 integer [ ] default array [ 1 , null , 3 ] :: integer [ ] , c31 text [ ] default array [ ] :: text [ ] , c32 integer [ ] default array [ array [ 1 , 2 ] , array [ 3 , 4 ] ] :: integer [ ] , c33 varchar ( 9 ) [ ] default array [ 'a''' , '"' , '\' , '%' , 'NULL' ] :: varchar [ ] , c34 jsonb [ ] default array [ '[1]' :: jsonb , '{"a": 2}' :: jsonb ] :: jsonb [ ] , c35 uuid [ ] default array [ '00000000-0000-0000-0000-000000000001' ] :: uuid [ ] , c36 int4range default '["1","10")' :: int4range , c37 int4range default 'empty' :: int4range , c38 numrange default '(,"1.5"]' :: numrange , c39 tsrange default '["2024-01-01 00:00:00",)' :: tsrange , c40 int4multirange default '{["1","3"),["5","7")}' :: int4multirange , c41 inet default '10.0.0.1/8' :: inet , c42 cidr default '10.0.0.0/8' :: cidr , c43 macaddr default '08:00:2b:01:02:03' :: macaddr , c44 bit ( 4 ) default b'0101' , c45 bit varying default b'011' , c46 money default '12.50' :: money , c47 tsvector default 'a:1 b' :: tsvector , c48 oid default 25 :: oid , c49 regclass default 'pg_class' :: regclass , c50 jsonpath default '$.a' , c51 varchar ( 20 ) default 'ABC%' , c52 jsonb default '{"v": [1]}' :: jsonb , c53 vector ( 3 ) default '[1.0,2.5,-3.0]' , c54 halfvec ( 2 ) default '[1.0,2.0]' , c55 sparsevec ( 3 ) default '{2:2.0}/3' , c56 bit ( 3 ) default b'101' , c57 bit ( 3 ) default b'110' );
insert into defaults default values;

-- vectors
create extension vector;
create table t ( id integer , e vector ( 3 ) );
create index ix_hnsw on t using hnsw ( e vector_cosine_ops ) with ( m = 16 , ef_construction = 64 );
create index ix_ivf on t using ivfflat ( e vector_l2_ops ) with ( lists = 10 );

-- columns
create table t ( id serial not null , primary key ( id ) );
alter table t add column pct text default '5%' check ( pct like '%:a' );
alter table t add column made integer generated always as ( id * 2 ) stored;
alter table t add column gone integer;
alter table t drop column gone;

