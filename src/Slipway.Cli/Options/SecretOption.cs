using System.Globalization;
using Slipway.Api.Secrets;

namespace Slipway.Cli.Options;

/// <summary><c>--secret NAME[:TARGET]</c>, or <c>source=…,target=…,uid=…,gid=…,mode=…</c> as docker has it for services.</summary>
internal static class SecretOption
{
    public static SecretReference Parse(string text)
    {
        SecretReference reference = new();
        if (!text.Contains('=', StringComparison.Ordinal))
        {
            string[] parts = text.Split(':', 2);
            return reference with { Source = parts[0], Target = parts.Length > 1 ? parts[1] : "" };
        }

        foreach (string field in text.Split(','))
        {
            string[] pair = field.Split('=', 2);
            string value = pair.Length > 1 ? pair[1] : throw new CommandException($"invalid field '{field}' must be a key=value pair");
            switch (pair[0].ToLowerInvariant())
            {
                case "source" or "src":
                    reference.Source = value;
                    break;
                case "target":
                    reference.Target = value;
                    break;
                case "uid":
                    reference.UID = Number(value);
                    break;
                case "gid":
                    reference.GID = Number(value);
                    break;
                case "mode":
                    reference.Mode = Octal(value);
                    break;
                default:
                    throw new CommandException($"invalid field in secret request: {pair[0]}");
            }
        }

        return reference.Source.Length > 0 ? reference : throw new CommandException("source is required");

        static uint Number(string value) =>
            uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) ? number : throw new CommandException($"invalid number: {value}");

        static uint Octal(string value)
        {
            try
            {
                return Convert.ToUInt32(value, 8);
            }
            catch (Exception exception) when (exception is FormatException or OverflowException or ArgumentException)
            {
                throw new CommandException($"invalid mode specified: {value}");
            }
        }
    }
}
