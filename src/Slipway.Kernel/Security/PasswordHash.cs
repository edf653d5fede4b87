using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Slipway.Kernel.Security;

/// <summary>Password hashes by the system's own library, libxcrypt (crypt(3), crypt(5)).</summary>
public static unsafe partial class PasswordHash
{
    /// <summary>sizeof(struct crypt_data), part of the library's binary interface (crypt.h).</summary>
    private const int DataSize = 32768;

    /// <summary>bcrypt looks at no more bytes of a password than these; longer ones would be equal to their beginning.</summary>
    public const int MaximumBcryptPassword = 72;

    /// <summary>Whether it is a bcrypt hash, as <c>htpasswd -B</c> writes it: <c>$2y$</c>, cost, 22 characters of salt, 31 of hash.</summary>
    public static bool IsBcrypt(string hash) =>
        hash.Length == 60 && (hash.StartsWith("$2y$", StringComparison.Ordinal) || hash.StartsWith("$2b$", StringComparison.Ordinal) || hash.StartsWith("$2a$", StringComparison.Ordinal))
        && char.IsAsciiDigit(hash[4]) && char.IsAsciiDigit(hash[5]) && hash[6] == '$';

    /// <summary>Whether the password has this bcrypt hash. Takes as long as the hash's cost demands, on the calling thread.</summary>
    public static bool VerifyBcrypt(string password, string hash)
    {
        byte[] phrase = Encoding.UTF8.GetBytes(password + '\0');
        if (!IsBcrypt(hash) || phrase.Length - 1 > MaximumBcryptPassword || phrase.AsSpan().IndexOf((byte)0) != phrase.Length - 1)
        {
            return false;
        }

        byte[] expected = Encoding.ASCII.GetBytes(hash + '\0');
        void* data = NativeMemory.AllocZeroed(DataSize);
        try
        {
            fixed (byte* phrasePointer = phrase, settingPointer = expected)
            {
                // The setting is a whole hash: salt and cost are taken from its beginning. On failure the result is null.
                byte* result = crypt_rn(phrasePointer, settingPointer, data, DataSize);
                return result is not null
                    && CryptographicOperations.FixedTimeEquals(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(result), expected.AsSpan(0, hash.Length));
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(phrase);
            NativeMemory.Clear(data, DataSize);
            NativeMemory.Free(data);
        }
    }

    [LibraryImport("libcrypt.so.1")]
    private static partial byte* crypt_rn(byte* phrase, byte* setting, void* data, int size);
}
