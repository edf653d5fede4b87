using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Oci;

namespace Slipway.Storage.Content;

/// <summary>
/// A blob being written: hashed on the way, in the directory for temporary files until it is published. Disposing one that was not
/// published removes it.
/// </summary>
internal sealed class BlobWriter : Stream
{
    private readonly ContentStore _store;
    private readonly string _name;
    private readonly SafeFileHandle _file;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private Digest _digest;
    private long _length;
    private bool _published;

    internal BlobWriter(ContentStore store, string name, SafeFileHandle file) => (_store, _name, _file) = (store, name, file);

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    /// <summary>Bytes written so far.</summary>
    public override long Length => _length;

    public override long Position
    {
        get => _length;
        set => throw new NotSupportedException();
    }

    /// <summary>The digest of all that was written; nothing can be written after it was asked for.</summary>
    public Digest Digest
    {
        get
        {
            if (_digest.IsNone)
            {
                _digest = Digest.FromHash(_hash.GetHashAndReset());
            }

            return _digest;
        }
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (!_digest.IsNone)
        {
            throw new InvalidOperationException("the blob is complete");
        }

        _hash.AppendData(buffer);
        Descriptors.WriteAt(_file, buffer, _length);
        _length += buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>A stream of what was written so far, from its beginning.</summary>
    public Stream OpenRead() => new FileStream(Descriptors.Reopen(_file, OpenFlags.ReadOnly), FileAccess.Read, bufferSize: 0);

    /// <summary>Forgets all that was written.</summary>
    public void Reset()
    {
        RandomAccess.SetLength(_file, 0);
        _hash.GetHashAndReset();
        _length = 0;
    }

    /// <summary>Makes the blob durable and gives it its name. Publishing a blob that the store has already is no error.</summary>
    public void Publish()
    {
        Descriptors.Sync(_file);
        NameUnsynced();
        _store.SyncNames();
    }

    /// <summary>Gives the blob its name, although a power failure may leave anything in it.</summary>
    internal void NameUnsynced()
    {
        if (!_published)
        {
            _store.Name(_name, Digest);
            _published = true;
        }
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_file.IsClosed)
        {
            if (!_published)
            {
                _store.Discard(_name);
            }

            _file.Dispose();
            _hash.Dispose();
        }

        base.Dispose(disposing);
    }
}
