using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Slipway.Storage.State;

/// <summary>
/// The tables. <c>PRAGMA user_version</c> counts the migrations that have run; a migration is never edited once released, a new one
/// is added. Times are .NET ticks in UTC (100 ns), so that they compare and keep their order.
/// </summary>
internal static class Schema
{
    private static readonly string[] Migrations =
    [
        """
        CREATE TABLE layers (
            chain_id TEXT PRIMARY KEY,
            diff_id  TEXT NOT NULL,
            parent   TEXT REFERENCES layers (chain_id),
            size     INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX layers_parent ON layers (parent);

        CREATE TABLE images (
            id            TEXT PRIMARY KEY,
            manifest      TEXT NOT NULL,
            config        BLOB NOT NULL,
            last_tag_time INTEGER
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE image_layers (
            image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            chain_id TEXT NOT NULL REFERENCES layers (chain_id),
            blob     TEXT NOT NULL,
            PRIMARY KEY (image_id, position)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX image_layers_chain ON image_layers (chain_id);

        CREATE TABLE image_blobs (
            image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
            digest   TEXT NOT NULL,
            PRIMARY KEY (image_id, digest)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX image_blobs_digest ON image_blobs (digest);

        CREATE TABLE image_names (
            name     TEXT PRIMARY KEY,
            image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX image_names_image ON image_names (image_id);

        CREATE TABLE containers (
            id          TEXT PRIMARY KEY,
            name        TEXT NOT NULL UNIQUE,
            created     INTEGER NOT NULL,
            image_id    TEXT NOT NULL,
            config      BLOB NOT NULL,
            host_config BLOB NOT NULL,
            networking  BLOB NOT NULL,
            state       BLOB NOT NULL
        ) STRICT;

        CREATE TABLE container_layers (
            container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
            chain_id     TEXT NOT NULL REFERENCES layers (chain_id),
            PRIMARY KEY (container_id, chain_id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX container_layers_chain ON container_layers (chain_id);

        CREATE TABLE networks (
            id       TEXT PRIMARY KEY,
            name     TEXT NOT NULL UNIQUE,
            created  INTEGER NOT NULL,
            document BLOB NOT NULL
        ) STRICT;

        CREATE TABLE endpoints (
            network_id   TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
            container_id TEXT NOT NULL,
            document     BLOB NOT NULL,
            PRIMARY KEY (network_id, container_id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX endpoints_container ON endpoints (container_id);

        CREATE TABLE addresses (
            network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
            address    TEXT NOT NULL,
            owner      TEXT NOT NULL,
            PRIMARY KEY (network_id, address)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX addresses_owner ON addresses (owner);

        CREATE TABLE events (
            sequence INTEGER PRIMARY KEY,
            time     INTEGER NOT NULL,
            document BLOB NOT NULL
        ) STRICT;

        CREATE TABLE key_values (
            key   TEXT PRIMARY KEY,
            value BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
        """
        -- The files below blobs/, with what a registry calls a document; empty for what is no manifest or index.
        CREATE TABLE blobs (
            digest     TEXT PRIMARY KEY,
            size       INTEGER NOT NULL,
            media_type TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- Repositories, of any registry, where a blob was seen.
        CREATE TABLE blob_sources (
            digest     TEXT NOT NULL,
            repository TEXT NOT NULL,
            PRIMARY KEY (digest, repository)
        ) STRICT, WITHOUT ROWID;

        -- Compressed forms of layers that are not kept, but made again when they are needed: the encoder gives the same bytes each time.
        CREATE TABLE layer_encodings (
            diff_id TEXT NOT NULL,
            encoder TEXT NOT NULL,
            digest  TEXT NOT NULL,
            size    INTEGER NOT NULL,
            PRIMARY KEY (diff_id, encoder)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX layer_encodings_digest ON layer_encodings (digest);

        -- Layers of an ingest that was not committed, until they expire. They are not known to be on the disk, so a boot ends them.
        CREATE TABLE held_layers (
            chain_id TEXT PRIMARY KEY REFERENCES layers (chain_id) ON DELETE CASCADE,
            expires  INTEGER NOT NULL,
            boot     TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- A name may denote an index, and then one image for each platform that is here. The target is the manifest or index.
        CREATE TABLE names (
            name     TEXT NOT NULL,
            image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
            target   TEXT NOT NULL,
            PRIMARY KEY (name, image_id)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO names SELECT name, image_id, manifest FROM image_names JOIN images ON images.id = image_names.image_id;
        DROP TABLE image_names;
        ALTER TABLE names RENAME TO image_names;
        CREATE INDEX image_names_image ON image_names (image_id);
        """,
        """
        -- What unpacked layers take on the disk, measured once; the stamp tells a directory that was changed since.
        CREATE TABLE layer_usage (
            chain_id TEXT PRIMARY KEY REFERENCES layers (chain_id) ON DELETE CASCADE,
            bytes    INTEGER NOT NULL,
            files    INTEGER NOT NULL,
            stamp    INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE image_uses (
            image_id  TEXT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
            last_used INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
        """
        -- Signatures and attestations that came with an image: descriptors of their manifests, and whether an archive's index lists them.
        CREATE TABLE image_referrers (
            image_id   TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
            digest     TEXT NOT NULL,
            is_listed  INTEGER NOT NULL,
            descriptor BLOB NOT NULL,
            PRIMARY KEY (image_id, digest)
        ) STRICT, WITHOUT ROWID;
        """,
        """
        CREATE TABLE volumes (
            name     TEXT PRIMARY KEY,
            created  INTEGER NOT NULL,
            document BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
        """
        -- Documents of images whose files may not be on the disk yet.
        CREATE TABLE document_journal (
            digest  TEXT PRIMARY KEY,
            content BLOB NOT NULL
        ) STRICT;
        """,
        """
        -- Project numbers by which the file system bounds volumes and layers of containers; which is whose, the directories say themselves.
        CREATE TABLE projects (id INTEGER PRIMARY KEY) STRICT;
        """,
        """
        -- What steps of builds made, by what they were made of. Empty boot: the layer is on the disk; else it is as far as that boot goes.
        CREATE TABLE build_cache (
            key         TEXT PRIMARY KEY,
            parent      TEXT NOT NULL,
            chain_id    TEXT REFERENCES layers (chain_id),
            kind        TEXT NOT NULL,
            description TEXT NOT NULL,
            created     INTEGER NOT NULL,
            last_used   INTEGER NOT NULL,
            uses        INTEGER NOT NULL,
            boot        TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX build_cache_chain ON build_cache (chain_id);
        """,
        """
        -- Builds that were done, and what the log of each takes; the document is the engine's.
        CREATE TABLE build_history (
            reference TEXT PRIMARY KEY,
            started   INTEGER NOT NULL,
            log_bytes INTEGER NOT NULL,
            document  BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ];

    /// <summary>Brings a database up to date, each step in a transaction of its own.</summary>
    /// <exception cref="StorageException">The database is of a later version of the program.</exception>
    public static void Migrate(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA user_version";
        var version = Convert.ToInt32(command.ExecuteScalar(), CultureInfo.InvariantCulture);
        if (version > Migrations.Length)
        {
            throw new StorageException(StorageErrorKind.System, $"the state database has version {version}, this program knows {Migrations.Length}: it was written by a later Slipway");
        }

        for (; version < Migrations.Length; version++)
        {
            command.CommandText = string.Create(CultureInfo.InvariantCulture, $"BEGIN IMMEDIATE; {Migrations[version]} PRAGMA user_version = {version + 1}; COMMIT");
            command.ExecuteNonQuery();
        }
    }
}
