using System.Security.Cryptography;
using System.Text;
using Slipway.Kernel.Security;

namespace Slipway.Registry.Server.Access;

/// <summary>
/// Checks passwords. A check costs milliseconds of processor by design, so those that were right are remembered for a while, by a keyed hash
/// of user, password and stored hash: a changed file forgets them. Wrong ones are never remembered, and few are checked at once.
/// </summary>
internal sealed class PasswordVerifier(UserFile users, TimeProvider time) : IDisposable
{
    private const int MaximumRemembered = 4096;
    private static readonly TimeSpan s_lifetime = TimeSpan.FromMinutes(5);

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly SemaphoreSlim _turns = new(Math.Max(1, Environment.ProcessorCount / 2));
    private readonly Lock _gate = new();
    private readonly Dictionary<string, long> _remembered = [];

    public async ValueTask<bool> VerifyAsync(string user, string password, CancellationToken cancellationToken)
    {
        string? hash = users.FindHash(user);
        string mark = Convert.ToHexString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes($"{user}\0{password}\0{hash}")));
        if (hash is not null && IsRemembered(mark))
        {
            return true;
        }

        await _turns.WaitAsync(cancellationToken);
        try
        {
            // An unknown user takes as long as a known one.
            bool right = await Task.Run(() => PasswordHash.VerifyBcrypt(password, hash ?? users.AnyHash), cancellationToken) && hash is not null;
            if (right)
            {
                Remember(mark);
            }

            return right;
        }
        finally
        {
            _turns.Release();
        }
    }

    public void Dispose() => _turns.Dispose();

    private bool IsRemembered(string mark)
    {
        lock (_gate)
        {
            return _remembered.TryGetValue(mark, out long since) && time.GetElapsedTime(since) < s_lifetime;
        }
    }

    private void Remember(string mark)
    {
        lock (_gate)
        {
            if (_remembered.Count >= MaximumRemembered)
            {
                _remembered.Clear();
            }

            _remembered[mark] = time.GetTimestamp();
        }
    }
}
