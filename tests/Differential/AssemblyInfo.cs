using Slipway.Tests.Differential;

[assembly: AssemblyFixture(typeof(Transcripts))]
