using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Runtime.Compilation;

namespace Slipway.Engine.Builds.Steps;

/// <summary>Whom <c>--chown</c> means, by the image's own passwd and group files.</summary>
internal static class TransferOwner
{
    private const string Failure = "unable to convert uid/gid chown string to host mapping";

    /// <param name="owner">A user alone gives its number to the group too; the classic builder takes its name for the group's, too.</param>
    /// <exception cref="EngineException">InvalidParameter: there is no such user or group.</exception>
    public static (uint User, uint Group) Of(SafeFileHandle root, string owner, BuildStyle style)
    {
        using RootDirectory rootfs = new(Descriptors.Duplicate(root));
        bool isNumber = owner.Length > 0 && owner.All(char.IsAsciiDigit);
        if (style != BuildStyle.Classic)
        {
            return Resolve(isNumber ? $"{owner}:{owner}" : owner, error => error);
        }

        string[] parts = owner.Split(':');
        if (parts.Length > 2)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"{Failure}: invalid chown string format: {owner}");
        }

        (string user, string group) = (parts[0], parts[^1]);
        return (
            Resolve($"{user}:0", error => NoSuch(error, "uid", "user", user)).User,
            Resolve($"0:{group}", error => NoSuch(error, "gid", "group", group)).Group);

        (uint User, uint Group) Resolve(string text, Func<string, string> told)
        {
            try
            {
                ResolvedUser user = UserLookup.Resolve(rootfs, text, []);
                return (user.Uid, user.Gid);
            }
            catch (PlanException error)
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"{Failure}: {told(error.Message)}", error);
            }
        }
    }

    private static string NoSuch(string error, string id, string kind, string name) =>
        $"can't find {id} for {kind} {name}: {(error.StartsWith("unable to find", StringComparison.Ordinal) ? $"no such {kind}: {name}" : error)}";
}
