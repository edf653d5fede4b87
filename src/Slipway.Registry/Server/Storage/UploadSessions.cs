using System.Security.Cryptography;

namespace Slipway.Registry.Server.Storage;

/// <summary>
/// What is remembered of uploads between their requests: who works on one, and the hash of what was received, so that it need not be read
/// again. Losing it (a restart, too many uploads) costs that reading and nothing else.
/// </summary>
internal sealed class UploadSessions : IDisposable
{
    /// <summary>Uploads whose hash is kept; the ones that rest longest are forgotten beyond.</summary>
    private const int MaximumIdle = 1024;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, UploadHash?> _sessions = [];
    private readonly HashSet<string> _busy = [];
    private readonly Queue<string> _idle = new();

    /// <returns>False where another request has it.</returns>
    public bool TryEnter(string id, out UploadHash? hash)
    {
        lock (_gate)
        {
            hash = null;
            if (!_busy.Add(id))
            {
                return false;
            }

            _sessions.Remove(id, out hash);
            return true;
        }
    }

    /// <param name="hash">To be remembered; null where the upload is gone.</param>
    public void Leave(string id, UploadHash? hash)
    {
        lock (_gate)
        {
            _busy.Remove(id);
            if (hash is null)
            {
                return;
            }

            _sessions[id] = hash;
            _idle.Enqueue(id);
            while (_idle.Count > MaximumIdle)
            {
                if (_sessions.Remove(_idle.Dequeue(), out UploadHash? forgotten))
                {
                    forgotten?.Dispose();
                }
            }
        }
    }

    public bool IsBusy(string id)
    {
        lock (_gate)
        {
            return _busy.Contains(id);
        }
    }

    public void Dispose()
    {
        foreach (UploadHash? hash in _sessions.Values)
        {
            hash?.Dispose();
        }
    }
}

/// <summary>The SHA-256 of the first <see cref="Length"/> bytes of an upload.</summary>
internal sealed class UploadHash : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    public long Length { get; private set; }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        _hash.AppendData(bytes);
        Length += bytes.Length;
    }

    public Oci.Digest Current() => Oci.Digest.FromHash(_hash.GetCurrentHash());

    public void Dispose() => _hash.Dispose();
}
