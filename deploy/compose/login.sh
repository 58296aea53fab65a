#!/bin/sh
# Makes the login that taskchat migrates and serves with, when the cluster is made.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$POSTGRES_PASSWORD" <<'SQL'
CREATE ROLE taskchat LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE taskchat OWNER taskchat;
SQL
