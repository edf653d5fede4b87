using Slipway.Tests.Harness;

[assembly: AssemblyFixture(typeof(SharedEngine))]
